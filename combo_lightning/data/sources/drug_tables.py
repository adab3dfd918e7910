"""The user's files of drugs, with one column a feature where a file has such.

Shapes: E drugs of the responses, F features, R rows of a file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.names import JoinReport, drug_key, match_names
from combo_lightning.data.sources.columns import UserTable, texts
from combo_lightning.data.sources.drug_delimited import TABLE, table_format
from combo_lightning.data.sources.drug_entities import describe_drugs
from combo_lightning.data.sources.drug_names import find_drugs
from combo_lightning.data.sources.drug_record import Drug
from combo_lightning.data.sources.drug_schema import DrugTable, find_roles
from combo_lightning.data.sources.drugs import drug_format, read_drugs
from combo_lightning.data.sources.table_entities import (
    id_column_of,
    measured_block,
    names_only,
    turned_block,
)
from combo_lightning.errors import InputError

OPTION = "--drugs"


@dataclass(frozen=True)
class _Features:
    """A user's table that may hold features.

    Args:
        table: The table.
        whole: Its rows.
        id_column: Column that names the drugs; None: each column is a drug.
        file: Its place among the files of the joined table; -1: it is not one of them.
    """

    table: UserTable
    whole: Any
    id_column: str | None
    file: int


def read_drug_tables(
    paths: Sequence[Path], wanted: Sequence[str], chemistry: Sequence[str]
) -> tuple[Entities, JoinReport]:
    """Read files of drugs of any format, and join them; see `data.sources.drugs.read_drugs`.

    Number columns of the user's own tables become the feature block ``features`` (of a second
    such table ``features_2``); structures give computed blocks. A user's table may stand the other
    way round: a row a feature, a column a drug.

    Args:
        paths: The files, the first counts most; at least one.
        wanted: Drugs of the responses.
        chemistry: Kinds of features to compute from structures.

    Returns:
        The wanted drugs in that order, and how each was found.

    Raises:
        InputError: If nothing matches, rows of one drug disagree, or a value is no number.
    """
    tables, own = _read(paths, wanted)
    turned = [_turned(f, wanted) for f in own if f.id_column is None]
    blocks = [block for block, _ in turned]
    if not tables:
        return build_entities("drug", wanted, names_only(wanted), _numbered(blocks)), turned[0][1]
    joined = DrugTable.join(tables)
    drugs, report = find_drugs(wanted, joined, f"drugs in {OPTION}")
    if not report.matched:
        offered = [d for d in joined.rows.column("name").slice(0, 4).to_pylist() if d]
        raise InputError(
            f"{OPTION}: {', '.join(str(path) for path in paths)}: none of the {len(wanted)} drugs "
            f"of the responses is there; the file has {', '.join(offered)}, the responses have "
            f"{', '.join(list(wanted)[:4])}"
        )
    annotations, computed = describe_drugs(wanted, drugs, joined, chemistry, report.notes)
    report.notes.extend(line for _, other in turned for line in other.lines())
    for features in own:
        if features.id_column is not None:
            block = _features_of(features, drugs, joined)
            blocks += [] if block is None else [block]
    return build_entities("drug", wanted, annotations, [*computed, *_numbered(blocks)]), report


def _read(paths: Sequence[Path], wanted: Sequence[str]) -> tuple[list[DrugTable], list[_Features]]:
    """Read the files: what they tell of drugs, and the user's own tables among them."""
    tables: list[DrugTable] = []
    own: list[_Features] = []
    for path in paths:
        kind, delimiter = drug_format(path, OPTION)
        id_column = None
        if kind in ("delimited", "parquet"):
            table = UserTable.open(path, OPTION, delimiter)
            if table_format(table.columns) == TABLE:
                whole = table.read()
                id_column = id_column_of(table, whole, wanted, drug_key)
                file = -1 if id_column is None else len(tables)
                own.append(_Features(table, whole, id_column, file))
                if id_column is None:
                    continue
        tables.append(read_drugs(path, OPTION, id_column))
    return tables, own


def _turned(features: _Features, wanted: Sequence[str]) -> tuple[FeatureBlock, JoinReport]:
    named = features.table.columns[1:]
    report = match_names(wanted, named, f"drugs in {OPTION}", key=drug_key)
    found = [report.matched.get(name) for name in wanted]
    return turned_block(features.table, features.whole, found), report


def _features_of(
    features: _Features, drugs: Sequence[Drug | None], joined: DrugTable
) -> FeatureBlock | None:
    """Take the number columns of a user's table, for each drug of its row.

    Raises:
        InputError: If two rows of a drug disagree in a column that is none of names or structure.
    """
    roles = find_roles(features.table.columns)
    used = {features.id_column, *(c for columns in roles.values() for c in columns)}
    file_of = joined.rows.column("file").to_numpy()
    row_of = joined.rows.column("row").to_numpy()
    row_E = np.full(len(drugs), -1, dtype=np.int64)
    for place, drug in enumerate(drugs):
        rows = [int(row_of[r]) for r in drug.rows if file_of[r] == features.file] if drug else []
        if drug is not None and rows:
            row_E[place] = rows[0]
            _refuse_disagreement(features, drug.label, rows, used)
    return measured_block(features.table, features.whole, used, row_E)


def _refuse_disagreement(
    features: _Features, label: str, rows: Sequence[int], used: set[str | None]
) -> None:
    first, table = rows[0], features.table
    for row in rows[1:]:
        for column in table.columns:
            if column in used:
                continue
            cut = [features.whole.column(column).slice(r, 1) for r in (first, row)]
            a, b = (texts(c)[0].as_py() for c in cut)
            if a != b:
                raise InputError(
                    f"{table.place(row)}: '{label}' stood in {table.place(first)} already, and "
                    f"they disagree in column '{column}' ('{a}' and '{b}'); keep one"
                )


def _numbered(blocks: Sequence[FeatureBlock]) -> list[FeatureBlock]:
    """Give the second block of measured features, and those after it, names of their own."""
    named = [block.name if not i else f"{block.name}_{i + 1}" for i, block in enumerate(blocks)]
    return [replace(block, name=name) for block, name in zip(blocks, named, strict=True)]

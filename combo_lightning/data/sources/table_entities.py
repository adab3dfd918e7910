"""The user's own tables of cell lines and drugs, with one column a feature.

Shapes: E entities of the responses, F features, R rows of the file.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.chemistry import drug_blocks, inchikey
from combo_lightning.data.entities import Entities, EntityKind, build_entities
from combo_lightning.data.names import JoinReport, cell_key, drug_key, match_names
from combo_lightning.data.sources.columns import (
    GUESSES,
    IDENTIFIERS,
    UserTable,
    is_number,
    plain,
    texts,
)
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

# How many columns from the left may name the entities.
_LEFT = 8


def read_entities_table(
    path: Path | None, kind: EntityKind, wanted: Sequence[str], chemistry: Sequence[str]
) -> tuple[Entities, JoinReport | None]:
    """Read the table of cell lines or drugs: an id, a name, and one column a feature.

    Number columns become one feature block (``features``); a SMILES column gives computed blocks.
    A table that stands the other way round (a row a feature, a column an entity) is turned.

    Args:
        path: The table; None: there is none.
        kind: "cell" or "drug".
        wanted: Entities of the responses, which the ids are matched to.
        chemistry: Kinds of features to compute from SMILES.

    Returns:
        The wanted entities in that order, and which of them were found.

    Raises:
        InputError: If nothing matches, rows of one entity disagree, or a value is no number.
    """
    option = "--cells" if kind == "cell" else "--drugs"
    if path is None:
        logger.info("no %s table: the %ss have no features", option, kind)
        return build_entities(kind, wanted, _names(wanted), []), None
    table = UserTable.open(path, option)
    whole = table.read()
    key = cell_key if kind == "cell" else drug_key
    id_column = _id_column(table, whole, wanted, key)
    offered = (
        table.columns[1:] if id_column is None else texts(whole.column(id_column)).to_pylist()
    )
    named = [name for name in offered if name is not None]
    report = match_names(wanted, named, f"{kind}s in {option}", key=key)
    if not report.matched:
        raise InputError(
            f"{table.where}: none of the {len(wanted)} {kind}s of the responses is there; the "
            f"file has {', '.join(named[:4])}, the responses have {', '.join(list(wanted)[:4])}"
        )
    found = [report.matched.get(name) for name in wanted]
    if id_column is None:
        blocks = [_turned_block(table, whole, found)]
        return build_entities(kind, wanted, _names(wanted), blocks), report
    row_E = _rows(table, whole, offered, found)
    return _build(table, whole, id_column, row_E, kind, wanted, chemistry), report


def _names(wanted: Sequence[str]) -> dict[str, Sequence[Any]]:
    return {"name": list(wanted), "synonyms": [[] for _ in wanted]}


def _id_column(
    table: UserTable, whole: Any, wanted: Sequence[str], key: Callable[[str], str]
) -> str | None:
    """Find the column that names the entities; None: each column is one of them."""
    keys = {key(name) for name in wanted}
    hits = {
        name: sum(v is not None and key(v) in keys for v in texts(whole.column(name)).to_pylist())
        for name in table.columns[:_LEFT]
    }
    best = max(hits, key=hits.__getitem__)
    if sum(key(name) in keys for name in table.columns[1:]) > hits[best]:
        logger.info("%s: a column an entity, '%s' names features", table.where, table.columns[0])
        return None
    logger.info("%s: taking column '%s' as the names", table.where, best)
    return best


def _turned_block(table: UserTable, whole: Any, found: Sequence[str | None]) -> FeatureBlock:
    """Read features that stand as rows.

    Raises:
        InputError: If a feature has no name, or two have the same.
    """
    names = texts(whole.column(0)).to_pylist()
    first: dict[str | None, int] = {}
    for row, name in enumerate(names):
        if name is None or name in first:
            raise InputError(
                f"{table.place(row)}: "
                + (f"the feature '{name}' stands there again" if name else "a feature has no name")
                + f"; column '{table.columns[0]}' must name each feature once"
            )
        first[name] = row
    values_EF = np.full((len(found), len(names)), np.nan, dtype=np.float32)
    for row, column in enumerate(found):
        if column is not None:
            values_EF[row] = table.numbers(whole.column(column), column)
    return FeatureBlock("features", tuple(names), "as given", values_EF)


def _rows(
    table: UserTable, whole: Any, offered: Sequence[str | None], found: Sequence[str | None]
) -> npt.NDArray[np.int64]:
    """Give the row of each entity, -1: none.

    Raises:
        InputError: If an entity has two rows that disagree.
    """
    first: dict[str | None, int] = {}
    for row, name in enumerate(offered):
        if name is None or first.setdefault(name, row) == row:
            continue
        for column in table.columns:
            a, b = (texts(whole.column(column).slice(r, 1))[0].as_py() for r in (first[name], row))
            if a != b:
                raise InputError(
                    f"{table.place(row)}: '{name}' stood in {table.place(first[name])} already, "
                    f"and they disagree in column '{column}' ('{a}' and '{b}'); keep one"
                )
    return np.array([-1 if name is None else first[name] for name in found], dtype=np.int64)


def _build(
    table: UserTable,
    whole: Any,
    id_column: str,
    row_E: npt.NDArray[np.int64],
    kind: EntityKind,
    wanted: Sequence[str],
    chemistry: Sequence[str],
) -> Entities:
    """Put annotations, features and chemistry of the wanted entities together."""

    def taken(column: str) -> list[str | None]:
        rows = pa.array(row_E, mask=row_E < 0)
        values: list[str | None] = texts(whole.column(column)).take(rows).to_pylist()
        return values

    role = "tissue" if kind == "cell" else "smiles"
    others = {"name": id_column if kind == "cell" else table.guess(GUESSES["name"], "name")}
    others[role] = table.guess(GUESSES[role], role)
    annotations = _names(wanted)
    names = taken(others["name"] or id_column)
    annotations["name"] = [name or w for name, w in zip(names, wanted, strict=True)]
    blocks: list[FeatureBlock] = []
    column = others[role]
    if column is not None:
        annotations[role] = taken(column)
    elif chemistry:
        logger.info("%s: no column of SMILES, so no features from structures", table.where)
    if column is not None and kind == "drug":
        structures = annotations[role]
        annotations["inchikey"] = [
            None if smiles is None else _inchikey(table, column, int(row), smiles, name)
            for smiles, row, name in zip(structures, row_E, wanted, strict=True)
        ]
        blocks = drug_blocks(structures, list(wanted), chemistry)
    measured = _measured_block(table, whole, {id_column, *others.values()}, row_E)
    if measured is not None:
        blocks.append(measured)
    return build_entities(kind, wanted, annotations, blocks)


def _inchikey(table: UserTable, column: str, row: int, smiles: str, name: str) -> str:
    try:
        return inchikey(smiles, name)
    except InputError as error:
        raise InputError(f"{table.place(row)}, column '{column}': {error}") from error


def _measured_block(
    table: UserTable, whole: Any, used: set[str | None], row_E: npt.NDArray[np.int64]
) -> FeatureBlock | None:
    """Take the number columns as features, and say which columns are none."""
    features: dict[str, Any] = {}
    left: dict[str, list[str]] = {f"left out as {n}": [] for n in ("text", "identifiers", "empty")}
    for name in table.columns:
        if name in used:
            continue
        column = whole.column(name)
        share = _share_of_numbers(column)
        if plain(name) in IDENTIFIERS:
            left["left out as identifiers"].append(name)
        elif share is None:
            left["left out as empty"].append(name)
        elif share <= 0.5:
            left["left out as text"].append(name)
        else:
            values_R = table.numbers(column, name)
            features[name] = np.where(row_E < 0, np.nan, values_R[row_E])
    for what, names in (*left.items(), ("features", list(features))):
        if names:
            shown = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
            logger.info("%s: %s (%d): %s", table.where, what, len(names), shown)
    if not features:
        return None
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which a block refuses
        values_EF = np.stack(list(features.values()), axis=1).astype(np.float32)
    return FeatureBlock("features", tuple(features), "as given", values_EF)


def _share_of_numbers(column: Any) -> float | None:
    """Give the share of a column's values that are numbers; None: it has no values."""
    if is_number(column.type):
        return None if column.null_count == len(column) else 1.0
    column = texts(column).drop_null()
    if not len(column):
        return None
    try:
        column.cast(pa.float64())
    except pa.ArrowInvalid:
        return float(pd.to_numeric(column.to_pandas(), errors="coerce").notna().mean())
    return 1.0

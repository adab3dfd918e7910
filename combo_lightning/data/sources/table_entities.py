"""The user's own table of cell lines, with one column a feature; pieces of it serve drugs too.

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
import pyarrow.compute as pc

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.names import JoinReport, cell_key, match_names
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

# Numbers with a decimal comma, parted thousands, quotes, a bound, a star or a typesetter's minus:
# a column of them is no text, and would go without a word.
_MANGLED = (
    r'^[="<>~]*[+\-\x{2212}]?'
    r"(\d+([.,]\d+)?|\d{1,3}([.,' \x{a0}\x{2019}\x{202f}]\d{3})+([.,]\d+)?)"
    r'([eE][+-]?\d+)?["*]*$'
)
# How many columns from the left may name the entities.
_LEFT = 8


def read_cells_table(
    path: Path | None, wanted: Sequence[str]
) -> tuple[Entities, JoinReport | None]:
    """Read the table of cell lines: an id, a tissue, and one column a feature.

    Number columns become one feature block (``features``). A table that stands the other way round
    (a row a feature, a column a line) is turned.

    Args:
        path: The table; None: there is none.
        wanted: Cell lines of the responses, which the ids are matched to.

    Returns:
        The wanted lines in that order, and which of them were found.

    Raises:
        InputError: If nothing matches, rows of one line disagree, or a value is no number.
    """
    if path is None:
        logger.info("no --cells table: the cells have no features")
        return build_entities("cell", wanted, names_only(wanted), []), None
    table = UserTable.open(path, "--cells")
    whole = table.read()
    id_column = id_column_of(table, whole, wanted, cell_key)
    offered = (
        table.columns[1:] if id_column is None else texts(whole.column(id_column)).to_pylist()
    )
    named = [name for name in offered if name is not None]
    report = match_names(wanted, named, "cells in --cells")
    if not report.matched:
        raise InputError(
            f"{table.where}: none of the {len(wanted)} cells of the responses is there; the "
            f"file has {', '.join(named[:4])}, the responses have {', '.join(list(wanted)[:4])}"
        )
    found = [report.matched.get(name) for name in wanted]
    if id_column is None:
        blocks = [turned_block(table, whole, found)]
        return build_entities("cell", wanted, names_only(wanted), blocks), report
    row_E = _rows(table, whole, offered, found)
    return _build(table, whole, id_column, row_E, wanted), report


def names_only(wanted: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Give the annotations of entities of which nothing is known."""
    return {"name": list(wanted), "synonyms": [[] for _ in wanted]}


def id_column_of(
    table: UserTable, whole: Any, wanted: Sequence[str], key: Callable[[str], str]
) -> str | None:
    """Find the column that names the entities; None: each column is one of them.

    Args:
        table: The table.
        whole: Its rows.
        wanted: What the responses name.
        key: The rule by which names match.
    """
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


def turned_block(table: UserTable, whole: Any, found: Sequence[str | None]) -> FeatureBlock:
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
    wanted: Sequence[str],
) -> Entities:
    """Put annotations and features of the wanted lines together."""

    def taken(column: str) -> list[str | None]:
        rows = pa.array(row_E, mask=row_E < 0)
        values: list[str | None] = texts(whole.column(column)).take(rows).to_pylist()
        return values

    tissue = table.guess(GUESSES["tissue"], "tissue")
    annotations = names_only(wanted)
    names = zip(taken(id_column), wanted, strict=True)
    annotations["name"] = [name or w for name, w in names]
    if tissue is not None:
        annotations["tissue"] = taken(tissue)
    measured = measured_block(table, whole, {id_column, tissue}, row_E)
    blocks = [] if measured is None else [measured]
    return build_entities("cell", wanted, annotations, blocks)


def measured_block(
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
    """Give the share of a column's values that are numbers, if mangled; None: it has no values."""
    if is_number(column.type):
        return None if column.null_count == len(column) else 1.0
    column = texts(column).drop_null()
    if not len(column):
        return None
    try:
        column.cast(pa.float64())
    except pa.ArrowInvalid:
        mangled = pc.match_substring_regex(column, _MANGLED).to_numpy(zero_copy_only=False)
        numbers = pd.to_numeric(column.to_pandas(), errors="coerce").notna()
        return float((numbers | mangled).mean())
    return 1.0

"""GDSC's gene expression, ``Cell_line_RMA_proc_basalExp.txt``: RMA of Affymetrix arrays, log2.

Tab-separated; GENE_SYMBOLS, GENE_title, then a column a cell line, ``DATA.<COSMIC id>``; a line
that was measured twice stands again as ``DATA.1503362.1``; some symbols are empty. Source:
cancerrxgene.org, GDSC1000; not seen in bytes, but in code that reads it.
"""

import logging
import re
from collections.abc import Sequence

import numpy as np

from combo_lightning.data.sources.columns import plain
from combo_lightning.data.sources.profile import Profile, distinct
from combo_lightning.data.sources.wide_table import WideTable
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

_LINE = re.compile(r"DATA\.(\d+)(?:\.\d+)?")


def is_gdsc_expression(columns: Sequence[str]) -> bool:
    """Tell the layout from the names of its columns."""
    return sum(1 for name in columns if _LINE.fullmatch(name)) >= 2


def gdsc_expression(wide: WideTable) -> Profile:
    """Read the table; a line's replicates are averaged, genes without a symbol dropped.

    Args:
        wide: The file, GDSC's by `is_gdsc_expression`.

    Raises:
        InputError: If there is no column of gene symbols, or a symbol stands twice.
    """
    where = wide.table.where
    columns: dict[str, list[str]] = {}
    for name in wide.columns:
        match = _LINE.fullmatch(name)
        if match:
            columns.setdefault(match.group(1), []).append(name)
    symbol_column = next(
        (n for n in wide.columns if plain(n) in ("genesymbols", "genesymbol", "symbol")), None
    )
    if symbol_column is None:
        others = [name for name in wide.columns if not _LINE.fullmatch(name)]
        raise InputError(
            f"{where} has GDSC's columns DATA.<COSMIC id> but no column 'GENE_SYMBOLS'; it has "
            f"{', '.join(others[:6]) or 'no other column'}"
        )
    numbers = [name for names in columns.values() for name in names]
    found, values_FC, dropped = wide.read(
        [symbol_column], numbers, lambda f: np.array([s is not None for s in f[symbol_column]])
    )
    symbols = [str(symbol) for symbol in found[symbol_column]]
    if not symbols:
        raise InputError(f"{where} has no row with a gene symbol in column '{symbol_column}'")
    # Columns of one line stand side by side, in the order of its first.
    place = 0
    values_FE = np.empty((len(symbols), len(columns)), dtype=np.float32)
    for line, names in enumerate(columns.values()):
        values_FE[:, line] = values_FC[:, place : place + len(names)].mean(axis=1)
        place += len(names)
    repeated = [f"COSMIC {line}" for line, names in columns.items() if len(names) > 1]
    logger.info(
        "%s: taken as GDSC's expression: %d lines, %d genes; dropped %d rows without a symbol%s",
        where,
        len(columns),
        len(symbols),
        dropped,
        f"; the mean of replicates for {', '.join(repeated[:6])}" if repeated else "",
    )
    lines = tuple(f"COSMIC:{line}" for line in columns)
    return Profile(distinct(symbols), tuple(symbols), lines, values_FE.T, "GDSC")

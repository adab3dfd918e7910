"""DepMap's gene matrices: expression, CRISPR gene effect, copy number; one layout for all.

One row a profile, one column a gene, ``TSPAN6 (7105)``: symbol and Entrez id. The older layout
names the line by its ModelID in an unnamed first column; the newer one has SequencingID,
ModelConditionID, ModelID, IsDefaultEntryForMC and IsDefaultEntryForModel, and several rows a line.
Source: depmap.org/portal; not seen in bytes, but in code that reads them.
"""

import logging
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from combo_lightning.data.cell_names import identifier
from combo_lightning.data.sources.columns import plain
from combo_lightning.data.sources.profile import Profile, distinct
from combo_lightning.data.sources.wide_table import WideTable
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

_GENE = re.compile(r"(?P<symbol>[^()]*[^\s()]) \((?:\d+|Unknown)\)", re.IGNORECASE)
# Whether a row is the one to use for its line; an older spelling has no "Entry".
_DEFAULT = ("isdefaultentryformodel", "isdefaultformodel")
_YES = {"yes", "true", "1"}
# What stands beside the genes, and is meant to.
_BESIDE = {*_DEFAULT, "", "sequencingid", "profileid", "modelconditionid", "isdefaultentryformc"}
_IDS = ("modelid", "depmapid")


def gene_symbol(name: str) -> str | None:
    """Give the symbol of ``TSPAN6 (7105)``; None: the name is none of DepMap's."""
    match = _GENE.fullmatch(name)
    return match.group("symbol") if match else None


def is_depmap(columns: Sequence[str]) -> bool:
    """Tell the layout from the names of its columns: most are genes with their Entrez ids."""
    genes = sum(1 for name in columns if gene_symbol(name))
    return genes >= 2 and 2 * genes > len(columns) - 6


def depmap_profile(wide: WideTable) -> Profile:
    """Read a matrix; of a line with several rows the default one.

    Args:
        wide: The file, a matrix by `is_depmap`.

    Raises:
        InputError: If no column names the lines, or a line has several rows and no default.
    """
    where = wide.table.where
    genes = [name for name in wide.columns if gene_symbol(name)]
    line_column = _line_column(wide)
    named = {plain(name): name for name in wide.columns}
    default = next((named[name] for name in _DEFAULT if name in named), None)

    def keep(found: dict[str, list[str | None]]) -> npt.NDArray[np.bool_]:
        lines = found[line_column]
        flags = found[default] if default is not None else ["yes"] * len(lines)
        return np.array(
            [
                line is not None and flag is not None and flag.lower() in _YES
                for line, flag in zip(lines, flags, strict=True)
            ]
        )

    wanted = [line_column, *([default] if default is not None else [])]
    columns, values_EF, dropped = wide.read(wanted, genes, keep)
    lines = [str(line) for line in columns[line_column]]
    _refuse_equal(lines, where, line_column, default)
    if not lines:
        raise InputError(
            f"{where} has no row whose '{default}' is Yes; at least one default row is needed"
        )
    _say_left(wide, {line_column, *genes})
    logger.info(
        "%s: taken as a DepMap matrix: %d lines, named by %s, %d genes%s",
        where,
        len(lines),
        f"column '{line_column}'" if line_column else "the first column",
        len(genes),
        f"; dropped {dropped} rows that are no default of their line" if dropped else "",
    )
    symbols = [gene_symbol(name) or name for name in genes]
    return Profile(distinct(symbols), tuple(symbols), tuple(lines), values_EF, "DepMap")


def _say_left(wide: WideTable, meant: set[str]) -> None:
    left = [n for n in wide.columns if n not in meant and plain(n) not in _BESIDE]
    if left:
        logger.warning(
            "%s: left out %d columns that are no gene as DepMap names them: %s",
            wide.table.where,
            len(left),
            ", ".join(left[:6]) + (" ..." if len(left) > 6 else ""),
        )


def _line_column(wide: WideTable) -> str:
    """Find the column of ModelIDs: by name, else by what stands in it.

    Raises:
        InputError: If there is none.
    """
    for name in wide.columns:
        if plain(name) in _IDS:
            return name
    others = [i for i, name in enumerate(wide.columns) if not gene_symbol(name)]
    for i in others:
        known = [row[i] for row in wide.sample if row[i] is not None]
        kinds = {(identifier(text) or ("",))[0] for text in known if text}
        if known and kinds == {"ModelID"}:
            return wide.columns[i]
    if len(others) == 1:  # names of lines, in a matrix that someone renamed
        return wide.columns[others[0]]
    raise InputError(
        f"{wide.table.where} has genes as DepMap names them, but no column 'ModelID' and none "
        "that holds ids such as ACH-000001; name the column of the lines 'ModelID'"
    )


def _refuse_equal(lines: Sequence[str], where: str, column: str, default: str | None) -> None:
    if len(set(lines)) == len(lines):
        return
    seen: set[str] = set()
    twice = next(line for line in lines if line in seen or seen.add(line))  # type: ignore[func-returns-value]
    raise InputError(
        f"{where}: the line '{twice}' stands in several rows of column '{column}'"
        + (f" whose '{default}' is Yes" if default else " and there is no IsDefaultEntryForModel")
        + "; keep one row a line"
    )

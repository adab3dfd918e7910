"""A molecular profile of cell lines, as any source gives it, and its way into a feature block.

Shapes: E cell lines, F features.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from combo_lightning.data.blocks import FeatureBlock, FloatArray
from combo_lightning.data.cell_names import KnownLines
from combo_lightning.data.names import JoinReport, match_names
from combo_lightning.data.sources.raw_text import read_text
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

# What spreadsheet programs make of MARCH1, SEPT2 or DEC1.
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)"
_DATE = re.compile(
    rf"\d{{1,4}}-{_MONTH}|{_MONTH}-\d{{1,4}}|\d{{1,2}}-{_MONTH}-\d{{2,4}}"
    r"|\d{4}-\d\d-\d\d(?:[ T][\d:.]+)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}",
    re.IGNORECASE,
)
# The same dates as spreadsheets count them: days since 1900, here of the years 2000 to 2050.
_SERIAL = re.compile(r"3[67]\d{3}|4\d{4}|5[0-4]\d{3}")


@dataclass(frozen=True)
class Profile:
    """One molecular profile: features of cell lines, as a file has them.

    Args:
        feature_names: F distinct names.
        genes: Gene symbol of each feature; empty where the file gives none.
        cell_names: E names of cell lines, as the file spells them.
        values_EF: Values, NaN where missing.
        layout: What the file was taken as, a key of `UNITS`.
    """

    feature_names: tuple[str, ...]
    genes: tuple[str, ...]
    cell_names: tuple[str, ...]
    values_EF: FloatArray
    layout: str = "matrix"


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Number names that come again: ``MIR``, ``MIR#2``."""
    count: dict[str, int] = {}
    result = []
    for name in names:
        count[name] = count.get(name, 0) + 1
        result.append(name if count[name] == 1 else f"{name}#{count[name]}")
    return tuple(result)


def is_date(name: str) -> bool:
    """Tell a date that a spreadsheet made of a gene's name, such as 1-Mar of MARCH1 or MARC1."""
    return _DATE.fullmatch(name.strip()) is not None


def drop_dates(profile: Profile, where: str) -> Profile:
    """Drop features whose names a spreadsheet turned into dates, and say so.

    Which gene it was cannot be told back: 1-Mar was MARCH1 or MARC1.

    Args:
        profile: The profile.
        where: The option and the file, for messages.
    """
    names = profile.feature_names
    numbers = [i for i, name in enumerate(names) if name.isdigit()]
    # Where most names are numbers they are gene ids; a few among symbols are dates.
    serial = (
        {i for i in numbers if _SERIAL.fullmatch(names[i])}
        if 2 * len(numbers) < len(names)
        else set()
    )
    bad = [i for i, name in enumerate(names) if i in serial or is_date(name.split("#")[0])]
    genes = tuple("" if is_date(gene) else gene for gene in profile.genes)
    if not bad:
        return replace(profile, genes=genes)
    logger.warning(
        "%s: dropped %d features whose names a spreadsheet turned into dates (%s); the original "
        "file has their names",
        where,
        len(bad),
        ", ".join(names[i] for i in bad[:4]) + (" ..." if len(bad) > 4 else ""),
    )
    kept = np.setdiff1d(np.arange(len(names)), bad)
    return replace(
        profile,
        feature_names=tuple(names[i] for i in kept),
        genes=tuple(genes[i] for i in kept),
        values_EF=profile.values_EF[:, kept],
    )


def read_gene_list(path: Path) -> list[str]:
    """Read gene symbols, one a line.

    Raises:
        InputError: If the file is missing or empty.
    """
    genes = [line.strip() for line in read_text(path, "--genes").split("\n") if line.strip()]
    if not genes:
        raise InputError(f"--genes: {path} names no gene")
    return genes


def select_genes(profile: Profile, genes: Sequence[str], what: str) -> Profile:
    """Keep one feature for each listed gene: of several probes the one that varies most.

    Args:
        profile: The profile; a feature may name several genes as ``A /// B``.
        genes: Symbols to keep, in the order wanted.
        what: The profile's name, for messages.

    Raises:
        InputError: If none of the genes is there.
    """
    candidates: dict[str, list[int]] = {}
    for i, symbols in enumerate(profile.genes):
        for symbol in symbols.split(" /// "):
            candidates.setdefault(symbol.strip(), []).append(i)
    kept = {g: _most_varied(profile, candidates[g]) for g in genes if g in candidates}
    if not kept:
        raise InputError(
            f"--genes: none of the {len(genes)} genes is in the {what} file, which has "
            f"{', '.join(list(candidates)[:5])} ..."
        )
    logger.info("%s: %d of %d listed genes found", what, len(kept), len(genes))
    return replace(
        profile,
        feature_names=tuple(kept),
        genes=tuple(kept),
        values_EF=profile.values_EF[:, list(kept.values())],
    )


def _most_varied(profile: Profile, features: Sequence[int]) -> int:
    if len(features) == 1:
        return features[0]
    values_EF = profile.values_EF[:, features]
    spread = np.var(np.where(np.isfinite(values_EF), values_EF, 0), axis=0)
    return features[int(spread.argmax())]


def block_for_lines(
    profile: Profile,
    cell_names: Sequence[str],
    name: str,
    unit: str,
    known: KnownLines | None = None,
) -> tuple[FeatureBlock, JoinReport]:
    """Lay a profile out for the data set's cell lines; a line that it lacks is all missing.

    Args:
        profile: The profile.
        cell_names: The data set's lines.
        name: The block's name.
        unit: Unit of the values.
        known: Tables of other names of cell lines.

    Raises:
        InputError: If no line is found, or nothing was measured of those that are.
    """
    report = match_names(cell_names, profile.cell_names, f"cell lines in {name}", known=known)
    if not report.matched:
        raise InputError(
            f"no cell line of the data set is in the {name} file: it has "
            f"{', '.join(profile.cell_names[:4])} ..., the data set has "
            f"{', '.join(cell_names[:4])} ...; --cell_names takes a table that has both names, "
            "such as DepMap's Model.csv"
        )
    place = {cell: i for i, cell in enumerate(profile.cell_names)}
    values: npt.NDArray[np.float32] = np.full(
        (len(cell_names), len(profile.feature_names)), np.nan, dtype=np.float32
    )
    for row, cell in enumerate(cell_names):
        if cell in report.matched:
            values[row] = profile.values_EF[place[report.matched[cell]]]
    if not np.isfinite(values).any():
        raise InputError(
            f"the {name} file has no value of any of the {len(report.matched)} cell lines of the "
            f"data set that it names; its features are {', '.join(profile.feature_names[:4])} ..."
        )
    return FeatureBlock(name, profile.feature_names, unit, values), report

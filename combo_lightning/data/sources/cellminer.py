"""CellMiner's molecular profiles of the NCI-60: text exports, and gene matrices in Parquet.

A text export is tab-separated, with preamble lines, a header row, annotation columns before the 60
lines, ``PANEL:LINE`` column names, footnote letters in header names (``Gene name d``), ``-`` or
``NA`` where missing, and in some files CR-only line ends. Source: discover.nci.nih.gov/cellminer.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from combo_lightning.data.blocks import FeatureBlock, FloatArray
from combo_lightning.data.names import JoinReport, match_names
from combo_lightning.data.sources.raw_text import read_rows, read_text, require_file
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

_LINE_COLUMN = re.compile(r"^[A-Z]{2,3}:\S")
_FOOTNOTE = re.compile(r" [a-z]$")
_MISSING = {"", "-", "na", "nan", "null"}


@dataclass(frozen=True)
class Profile:
    """One molecular profile: features of cell lines, as a file has them.

    Args:
        feature_names: F distinct names.
        genes: Gene symbol of each feature; empty where the file gives none.
        cell_names: E names of cell lines, as the file spells them.
        values_EF: Values, NaN where missing.
    """

    feature_names: tuple[str, ...]
    genes: tuple[str, ...]
    cell_names: tuple[str, ...]
    values_EF: FloatArray


def read_profile(path: Path, option: str, *, missing: float = np.nan) -> Profile:
    """Read a text export, or a Parquet matrix whose first column names the lines.

    Args:
        path: The file.
        option: The option that named it, for messages.
        missing: What ``-`` and ``NA`` stand for: NaN, or 0 for the exome, where they mean that no
            variant was seen.

    Raises:
        InputError: If the file is not of either layout or holds text among the numbers.
    """
    require_file(path, option)
    if path.suffix == ".parquet":
        return _read_parquet(path, option)
    rows = read_rows(path, option, "\t")
    start, columns = _find_header(rows, path, option)
    header = [_FOOTNOTE.sub("", name) for name in rows[start]]
    names, genes, values = [], [], []
    gene_column = next(
        (i for i, n in enumerate(header) if n.lower().startswith("gene name")), None
    )
    for row in rows[start + 1 :]:
        if len(row) <= columns[0]:
            continue  # a footnote below the table
        fields = row + [""] * (len(header) - len(row))
        names.append(fields[0])
        gene = fields[gene_column] if gene_column is not None else ""
        genes.append("" if gene.lower() in _MISSING else gene)
        values.append(_numbers(fields, columns, header, f"{option}: {path}", missing))
    if not values:
        raise InputError(f"{option}: {path} has a header row but no data")
    return Profile(
        feature_names=_distinct(names),
        genes=tuple(genes),
        cell_names=tuple(header[i] for i in columns),
        values_EF=np.array(values, dtype=np.float32).T.copy(),
    )


def _find_header(rows: Sequence[Sequence[str]], path: Path, option: str) -> tuple[int, list[int]]:
    """Find the header row below the preamble, and its columns of cell lines.

    Raises:
        InputError: If there is none.
    """
    for start, row in enumerate(rows):
        columns = [i for i, name in enumerate(row) if _LINE_COLUMN.match(name)]
        if len(columns) >= 2:
            return start, columns
    raise InputError(
        f"{option}: {path} has no header row with columns named PANEL:LINE, such as 'BR:MCF7'; it "
        "is no CellMiner text export"
    )


def _numbers(
    fields: Sequence[str],
    columns: Sequence[int],
    header: Sequence[str],
    where: str,
    missing: float,
) -> list[float]:
    values = []
    for i in columns:
        text = fields[i]
        try:
            values.append(missing if text.lower() in _MISSING else float(text))
        except ValueError:
            raise InputError(
                f"{where}, row '{fields[0]}', column '{header[i]}' holds '{text}', which is no "
                "number"
            ) from None
    return values


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Number names that come again: ``MIR``, ``MIR#2``."""
    count: dict[str, int] = {}
    result = []
    for name in names:
        count[name] = count.get(name, 0) + 1
        result.append(name if count[name] == 1 else f"{name}#{count[name]}")
    return tuple(result)


def _read_parquet(path: Path, option: str) -> Profile:
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{option}: cannot read {path} as Parquet: {error}") from error
    features = table.column_names[1:]
    for name in features:
        if not (pa.types.is_floating(table[name].type) or pa.types.is_integer(table[name].type)):
            raise InputError(
                f"{option}: {path}, column '{name}' holds {table[name].type}, not numbers; the "
                "first column names the cell lines and all others are features"
            )
    values = [table[name].to_numpy().astype(np.float32) for name in features]
    return Profile(
        feature_names=_distinct(features),
        genes=tuple(features),
        cell_names=tuple(str(name) for name in table.column(0).to_pylist()),
        values_EF=np.stack(values, axis=1),
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
    spread = np.nanvar(np.where(np.isfinite(profile.values_EF), profile.values_EF, 0), axis=0)
    kept = {g: max(candidates[g], key=lambda i: spread[i]) for g in genes if g in candidates}
    if not kept:
        raise InputError(
            f"--genes: none of the {len(genes)} genes is in the {what} file, which has "
            f"{', '.join(list(candidates)[:5])} ..."
        )
    logger.info("%s: %d of %d listed genes found", what, len(kept), len(genes))
    columns = list(kept.values())
    return Profile(
        feature_names=tuple(kept),
        genes=tuple(kept),
        cell_names=profile.cell_names,
        values_EF=profile.values_EF[:, columns],
    )


def block_for_lines(
    profile: Profile, cell_names: Sequence[str], name: str, unit: str
) -> tuple[FeatureBlock, JoinReport]:
    """Lay a profile out for the data set's cell lines; a line that it lacks is all missing.

    Args:
        profile: The profile.
        cell_names: The data set's lines.
        name: The block's name.
        unit: Unit of the values.

    Raises:
        InputError: If no line is found.
    """
    report = match_names(cell_names, profile.cell_names, f"cell lines in {name}")
    if not report.matched:
        raise InputError(
            f"no cell line of the data set is in the {name} file: it has "
            f"{', '.join(profile.cell_names[:4])} ..., the data set has "
            f"{', '.join(cell_names[:4])} ..."
        )
    place = {cell: i for i, cell in enumerate(profile.cell_names)}
    values: npt.NDArray[np.float32] = np.full(
        (len(cell_names), len(profile.feature_names)), np.nan, dtype=np.float32
    )
    for row, cell in enumerate(cell_names):
        if cell in report.matched:
            values[row] = profile.values_EF[place[report.matched[cell]]]
    return FeatureBlock(name, profile.feature_names, unit, values), report

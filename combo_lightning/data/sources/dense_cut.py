"""Which columns of a dense matrix are the cell line's and which a drug's; finding that out.

Shapes: C columns, S rows of a sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.sources.matrix_file import FloatArray
from combo_lightning.errors import InputError, did_you_mean

OPTION = "--slice"
_IGNORE = "ignore"
# Among so few rows each may be of its own cell line.
_FEW_ROWS = 100

Range = tuple[int, int]


@dataclass(frozen=True)
class Cut:
    """The columns of each part, counted from 0, ends not included.

    Args:
        cell: Of the cell line.
        drugs: Of the drugs, slot by slot; all of one width.
        ignored: Of nothing.
        disjoint: Whether it is meant that the slots share no drug, as in a screen of anchors.
    """

    cell: Range
    drugs: tuple[Range, ...]
    ignored: tuple[Range, ...] = ()
    disjoint: bool = False

    @property
    def ignored_columns(self) -> set[int]:
        """Every column that is of nothing."""
        return {i for start, end in self.ignored for i in range(start, end)}

    def parts(self) -> dict[str, Range]:
        """Give cell line and drugs by their names."""
        return {"cell": self.cell, **{f"drug_{k}": r for k, r in enumerate(self.drugs, start=1)}}

    def options(self) -> str:
        """Write it as options of the command line."""
        named = [*self.parts().items(), *((_IGNORE, r) for r in self.ignored)]
        return " ".join(f"{OPTION} {name}={start}:{end}" for name, (start, end) in named)


def parse_slices(texts: Sequence[str], width: int, response: int | None) -> Cut:
    """Read slices such as ``cell=0:921``.

    Args:
        texts: The slices; a start or an end may be left out.
        width: C.
        response: Number of the column of responses; None: they are elsewhere.

    Raises:
        InputError: If one cannot be read, is missing or overlaps another, or a column is in none.
    """
    found: dict[str, Range] = {}
    ignored: list[Range] = []
    for text in texts:
        name, columns = _parse_slice(text, width)
        if name == _IGNORE:
            ignored.append(columns)
        elif name in found:
            raise InputError(f"{OPTION}: '{name}' is given twice; give each part once")
        else:
            found[name] = columns
    drugs = [f"drug_{k}" for k in range(1, max(2, len(found)))]
    wanted = ["cell", *drugs]
    for name in [*wanted, *found]:
        if name not in found or name not in wanted:
            hint = did_you_mean(name, [*wanted, _IGNORE]) if name in found else ""
            raise InputError(
                f"{OPTION}: there is {'an unknown' if name in found else 'no'} '{name}'{hint}; "
                f"the parts are cell, drug_1, drug_2 .. and {_IGNORE}, as in {OPTION} cell=0:921 "
                f"{OPTION} drug_1=921:4750 {OPTION} drug_2=4750:8579"
            )
    _cover([*found.items(), *((_IGNORE, r) for r in ignored)], width, response)
    return Cut(found["cell"], tuple(found[name] for name in drugs), tuple(ignored))


def _parse_slice(text: str, width: int) -> tuple[str, Range]:
    name, equals, columns = text.partition("=")
    start, colon, end = columns.partition(":")
    try:
        first, last = int(start or 0), int(end or width)
    except ValueError:
        equals = ""
        first = last = 0
    if not (name and equals and colon):
        raise InputError(f"{OPTION}: cannot read '{text}'; write NAME=START:END, as in cell=0:921")
    if not 0 <= first < last <= width:
        raise InputError(
            f"{OPTION}: '{text}' leaves the matrix, whose columns are 0:{width}, or is empty"
        )
    return name, (first, last)


def _cover(parts: Sequence[tuple[str, Range]], width: int, response: int | None) -> None:
    """Refuse parts that overlap, or columns in no part.

    Raises:
        InputError: With both parts, or the columns.
    """
    ordered = sorted(parts, key=lambda part: part[1])
    for (name, (start, end)), (other, (begin, _)) in pairwise(ordered):
        if begin < end:
            raise InputError(
                f"{OPTION}: '{name}' ({start}:{end}) and '{other}' (from {begin}) overlap; ends "
                "are not included"
            )
    taken = np.zeros(width, dtype=bool)
    for name, (start, end) in ordered:
        if response is not None and start <= response < end and name != _IGNORE:
            raise InputError(
                f"{OPTION}: '{name}' ({start}:{end}) holds column {response}, the responses "
                "(--response_column); leave it out"
            )
        taken[start:end] = True
    if response is not None:
        taken[response] = True
    free = np.flatnonzero(~taken)
    if free.size:
        end = int(free[0]) + int(np.argmin(np.append(~taken[free[0] :], False)))
        raise InputError(
            f"{OPTION}: columns {free[0]}:{end} of {width} are in no part; if they are no "
            f"features, add {OPTION} {_IGNORE}={free[0]}:{end}"
        )


@dataclass(frozen=True)
class Counts:
    """How many entities a cut gives.

    Args:
        cells: Distinct rows of the cell line's columns.
        drugs: Distinct rows of all drugs' columns.
        shared: How often a drug of one slot stands in another; 0: the slots share none.
    """

    cells: int
    drugs: int
    shared: int

    @property
    def total(self) -> int:
        """All entities."""
        return self.cells + self.drugs

    def __str__(self) -> str:
        return f"{self.cells:,} cell lines and {self.drugs:,} drugs"


def fewest_entities(
    sample_CS: FloatArray, slots: int, span: Range, *, disjoint: bool = False
) -> tuple[Cut, Counts] | None:
    """Search all cuts into a cell line and drugs of one width for that with fewest entities.

    With two slots or more, at least one drug has to stand in two of them. Every cut's hashes come
    from running sums over the columns, so that the search takes one pass and a few sorts a cut.

    Args:
        sample_CS: Some rows, turned.
        slots: K, the drugs of a row.
        span: Columns to cut: the cell line first, then the drugs.
        disjoint: Whether the slots may share no drug.

    Returns:
        The cut and what it gives in the sample; None: there is none.
    """
    lo, hi = span
    sums = _Sums(sample_CS, lo)
    width = hi - lo
    best: tuple[Cut, Counts] | None = None
    end = sums.until(sums.new(), hi)
    first = lo + (width % slots or slots)
    edges = [(sums.new(), lo) for _ in range(slots)]
    for start in range(first, hi - slots + 1, slots):
        each = (hi - start) // slots
        edges = [
            (sums.until(total, start + k * each, column), start + k * each)
            for k, (total, column) in enumerate(edges)
        ]
        totals = [total for total, _ in edges] + [end]
        cells = len(np.unique(totals[0]))
        # With more columns there are no fewer cell lines.
        if cells > (best[1].total if best else max(sample_CS.shape[1] / 2, _FEW_ROWS)):
            break
        hashes = [
            np.unique(sums.shifted(after - before, start + k * each))
            for k, (before, after) in enumerate(pairwise(totals))
        ]
        union = np.unique(np.concatenate(hashes))
        nonzero = [int(np.count_nonzero(each_slot)) for each_slot in hashes]
        shared = sum(nonzero) - int(np.count_nonzero(union))
        counts = Counts(cells, len(union), shared)
        if (shared or slots == 1 or disjoint) and (best is None or counts.total < best[1].total):
            drugs = tuple((start + k * each, start + (k + 1) * each) for k in range(slots))
            best = Cut((lo, start), drugs, disjoint=disjoint), counts
    return best


def count_in_sample(sample_CS: FloatArray, cut: Cut) -> Counts:
    """Count the entities that a cut gives in a sample."""

    def distinct(columns: Range) -> set[bytes]:
        rows = np.ascontiguousarray(sample_CS[slice(*columns)].T)
        return {row.tobytes() for row in rows if row.any()}

    slots = [distinct(columns) for columns in cut.drugs]
    union = set().union(*slots)
    shared = sum(map(len, slots)) - len(union)
    return Counts(len(distinct(cut.cell)), len(union), shared)


class _Sums:
    """Running hashes of the rows of a sample, column after column; zeros alone hash to 0.

    A row's hash is the sum of mix(value) r^column modulo 2^64, so that a slice's is a difference,
    and times r^-start that of the same values wherever they stand.
    """

    _R = 0x9E3779B97F4A7C15
    _INVERSE = pow(_R, -1, 1 << 64)

    def __init__(self, sample_CS: FloatArray, lo: int) -> None:
        self._bits_CS = sample_CS.view(np.uint32)
        self._lo = lo

    def new(self) -> npt.NDArray[np.uint64]:
        return np.zeros(self._bits_CS.shape[1], dtype=np.uint64)

    def until(
        self, total: npt.NDArray[np.uint64], column: int, since: int | None = None
    ) -> npt.NDArray[np.uint64]:
        """Go on with a sum, from the column after its last up to another."""
        start = self._lo if since is None else since
        for i in range(start, column):
            total = total + self._mixed(i) * np.uint64(pow(self._R, i, 1 << 64))
        return total

    def shifted(self, total: npt.NDArray[Any], start: int) -> npt.NDArray[np.uint64]:
        """Give the hash that the same values would have in column 0."""
        result: npt.NDArray[np.uint64] = total * np.uint64(pow(self._INVERSE, start, 1 << 64))
        return result

    def _mixed(self, column: int) -> npt.NDArray[np.uint64]:
        """Scatter bits, as in splitmix64 but for its added constant."""
        x = self._bits_CS[column].astype(np.uint64)
        x = (x ^ (x >> np.uint64(15))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        result: npt.NDArray[np.uint64] = x ^ (x >> np.uint64(31))
        return result

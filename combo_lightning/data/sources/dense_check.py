"""Whether a cut of a dense matrix is the right one: a wrong one trains without complaint.

For 8,579 columns both 921|4750|8579 and 941|4760|8579 give drugs of one width. Under the wrong one
each "drug" ends in the beginning of the next, so that no drug_1 is ever a drug_2.

Shapes: C columns, S rows of a sample.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from combo_lightning.data.sources.dense_cut import (
    OPTION,
    Counts,
    Cut,
    Range,
    count_in_sample,
    fewest_entities,
    parse_slices,
)
from combo_lightning.data.sources.folding import Folds, fold
from combo_lightning.data.sources.matrix_file import FloatArray, JoinedMatrix
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

# Without slices a row is taken to be of two drugs, as in NCI-ALMANAC.
_SLOTS = 2
# So few rows tell nothing of a column that numbers them.
_FEW_ROWS = 20


def find_cut(
    matrices: Sequence[JoinedMatrix],
    slices: Sequence[str],
    response: int | None,
    *,
    disjoint: bool = False,
) -> Cut:
    """Find the cut as slices or files state it, and check it on the data.

    A cut that has the fewest entities in a sample is good, unless all rows, once they are folded,
    say otherwise. Any other is counted on all rows before a row is kept.

    Args:
        matrices: The parts, training rows first.
        slices: The slices as the user gave them; none: as the files stand beside one another.
        response: Column of the responses; None: elsewhere.
        disjoint: Whether it is meant that the slots share no drug.

    Raises:
        InputError: If the cut cannot be, or another is better, with that one.
    """
    first = matrices[0]
    for other in matrices[1:]:
        if other.width != first.width:
            raise InputError(
                f"{other.files[0].option}: the matrix has {other.width} columns, that of "
                f"--features {first.width}; both parts need the same columns"
            )
    cut = _stated(first, slices, response)
    if cut is not None:
        cut = replace(cut, disjoint=disjoint)
    span = _span(first.width, cut, response)
    sample_CS = first.sample(cut.ignored_columns if cut else ())
    slots = len(cut.drugs) if cut else _SLOTS
    best = _search(sample_CS, slots, span, disjoint=disjoint) if span else None
    if cut is None:
        raise InputError(
            f"{OPTION}: say which columns are the cell line's and which the drugs'; "
            + _proposal(matrices, best, None)
        )
    widths = [end - start for start, end in cut.drugs]
    if len(set(widths)) > 1:
        raise InputError(
            f"{OPTION}: the drugs have {' and '.join(map(str, widths))} columns, and all drugs "
            f"have the same features; {_proposal(matrices, best, cut)}"
        )
    sample, given = sample_CS.shape[1], count_in_sample(sample_CS, cut)
    same = best is not None and best.parts() == cut.parts()
    if not same or _problem(given, sample, cut):
        _compare(matrices, cut, None if same else best)
    return cut


def refuse_bad(counts: Counts, rows: int, cut: Cut) -> None:
    """Refuse a cut by what it gives on all rows.

    Raises:
        InputError: If no drug of one slot is one of another, or hardly a row shares an entity.
    """
    problem = _problem(counts, rows, cut)
    if problem:
        raise InputError(f"{OPTION}: {_named(cut)} gives {counts} in {rows:,} rows: {problem}")


def _problem(counts: Counts, rows: int, cut: Cut) -> str:
    slots = len(cut.drugs)
    if slots > 1 and not (counts.shared or cut.disjoint):
        return "no drug of one slot is a drug of another, so the cut is wrong"
    if counts.cells > rows / 2:
        return "hardly a cell line stands in two rows, so the cut is wrong"
    if counts.drugs > slots * rows / 2:
        return "hardly a drug stands in two rows, so the cut is wrong"
    return ""


def _stated(matrix: JoinedMatrix, slices: Sequence[str], response: int | None) -> Cut | None:
    if slices:
        return parse_slices(slices, matrix.width, response)
    if len(matrix.files) > 1 and response is None:
        edges = list(zip(matrix.edges[:-1], matrix.edges[1:], strict=True))
        return Cut(edges[0], tuple(edges[1:]))
    return None


def _span(width: int, cut: Cut | None, response: int | None) -> Range | None:
    """Give the columns that hold features if they stand together; else None."""
    used = np.ones(width, dtype=bool)
    if response is not None:
        used[response] = False
    for start, end in cut.ignored if cut else ():
        used[start:end] = False
    columns = np.flatnonzero(used)
    lo, hi = int(columns[0]), int(columns[-1]) + 1
    return (lo, hi) if hi - lo == len(columns) else None


def _search(sample_CS: FloatArray, slots: int, span: Range, *, disjoint: bool) -> Cut | None:
    """Search the cut with fewest entities, without a first column that numbers the rows."""
    lo, hi = span
    if _numbers_rows(sample_CS[lo]):
        lo += 1
    found = fewest_entities(sample_CS, slots, (lo, hi), disjoint=disjoint)
    if found is None:
        return None
    return replace(found[0], ignored=((span[0], lo),) if lo > span[0] else ())


def _numbers_rows(column_S: FloatArray) -> bool:
    whole = bool((column_S == np.rint(column_S)).all())
    return whole and len(column_S) >= _FEW_ROWS and len(np.unique(column_S)) == len(column_S)


def _count(matrices: Sequence[JoinedMatrix], cut: Cut) -> tuple[Counts, int]:
    """Count a cut's entities in all rows, which takes one reading of the files."""
    folds = Folds.empty(len(cut.drugs), keep=False)
    rows = sum(len(cell_R) for matrix in matrices for cell_R, _, _ in fold(matrix, cut, folds))
    return folds.counts(), rows


def _compare(matrices: Sequence[JoinedMatrix], cut: Cut, best: Cut | None) -> None:
    """Count on all rows what a cut gives, and what the one that looks better.

    Raises:
        InputError: If it cannot be right, or the other gives less than half its entities.
    """
    logger.info("counting what %s gives, as a sample leaves doubt", _named(cut))
    counts, rows = _count(matrices, cut)
    problem = _problem(counts, rows, cut)
    if not problem and best is not None:
        better, _ = _count(matrices, best)
        if 2 * better.total < counts.total and not _problem(better, rows, cut):
            problem = "another cut gives far fewer"
    if problem:
        raise InputError(
            f"{OPTION}: {_named(cut)} gives {counts} in {rows:,} rows: {problem}; "
            + _proposal(matrices, best, cut)
        )


def _proposal(matrices: Sequence[JoinedMatrix], best: Cut | None, cut: Cut | None) -> str:
    """Say which cut gives the fewest entities, counted on all rows."""
    slots = len(cut.drugs) if cut else _SLOTS
    if best is not None:
        counts, rows = _count(matrices, best)
        if not _problem(counts, rows, best):
            return f"the cut with the fewest entities ({counts}) is {best.options()}"
    return (
        f"no cut into a cell line and {slots} drug(s) of one width is better: are the drugs' "
        f"columns last and in one order, and other columns left out ({OPTION} ignore=START:END)?"
        + (" In a screen against anchors say --disjoint_drugs true" if slots > 1 else "")
    )


def _named(cut: Cut) -> str:
    return " ".join(f"{name}={start}:{end}" for name, (start, end) in cut.parts().items())

"""Wells of dose matrices: a row each, or their blocks as synergy scores, IC50s or AUCs.

Shapes: W wells of a block, A and B doses of its drugs, N blocks of one size.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from combo_lightning.data.growth import combo_scores, growth_crossing
from combo_lightning.data.hill import VIABILITY, fit_hill
from combo_lightning.data.sources.screen import ScreenSource
from combo_lightning.data.synergy_scores import DoseMatrices, SynergyScore, synergy_scores

Floats = npt.NDArray[np.float64]

SCORES: tuple[SynergyScore, ...] = get_args(SynergyScore)
RESPONSES = ("viability", *SCORES, "ic50", "auc")
# What only wells of growth give.
# ... and the levels that it falls to at GI50, TGI and LC50.
_LEVELS = {"gi50": 50.0, "tgi": 0.0, "lc50": -50.0}
OF_GROWTH = ("growth", "combo_score", *_LEVELS)

_BLOCKS_AT_A_TIME = 4096
# Doses are equal that differ by less, in log10: files round them.
_SAME_DOSE = 1e-6
# An IC50 this far beyond the tested doses, in log10, is a guess.
_BEYOND = 1.0
# A curve that misses its wells by more, in points of viability, is counted.
_POOR_FIT = 15.0


@dataclass(frozen=True)
class Block:
    """The wells of two drugs, or one, in a line on one plate.

    Args:
        cell: The cell line.
        drugs: The drugs; the second is empty where there is one alone.
        log10_molar: Their doses, -inf where a drug was not given, ``[W, 2]``.
        percent: Viability, or growth for the responses `OF_GROWTH`, ``[W]``; NaN is left out.
        study: Where it was measured; empty: not said.
        time_zero: Cells at the start in percent of untreated wells at the end, ``[W]``; None: they
            were not counted.
    """

    cell: str
    drugs: tuple[str, str]
    log10_molar: Floats
    percent: Floats
    study: str = ""
    time_zero: Floats | None = None


@dataclass(kw_only=True)
class WellsSource(ScreenSource):
    """Blocks of wells, turned into one kind of response.

    Args:
        blocks: The blocks.
        response: One of `RESPONSES` or `OF_GROWTH`.
    """

    blocks: Iterator[Block]
    response: str

    def rows(self) -> Iterator[Any]:
        """Give the rows, some blocks at a time; see `ScreenSource`.

        Yields:
            Arrow tables with columns of `data.schema.response_schema`.
        """
        while some := list(islice(self.blocks, _BLOCKS_AT_A_TIME)):
            if self.response in ("viability", "growth"):
                table = self._wells(some)
            elif self.response in (*SCORES, "combo_score"):
                table = self._scores(some)
            elif self.response in _LEVELS:
                table = self._crossings(some)
            else:
                table = self._curves(some)
            if len(table):
                self.lines.add(table.column("cell_id").combine_chunks())
                for slot in range(1, self.num_slots + 1):
                    self.drugs.add(table.column(f"drug_{slot}").combine_chunks())
                yield table

    def _wells(self, blocks: Sequence[Block]) -> Any:
        doses = np.concatenate([block.log10_molar for block in blocks])
        percent = np.concatenate([block.percent for block in blocks])
        block_W = np.repeat(np.arange(len(blocks)), [len(block.percent) for block in blocks])
        given = np.isfinite(doses)
        measured, treated = np.isfinite(percent), given.any(axis=1)
        self.dropped["missing response"] += int((~measured).sum())
        self.dropped["untreated well"] += int((measured & ~treated).sum())
        kept = np.flatnonzero(measured & treated)
        columns: dict[str, Any] = {"response": percent[kept]}
        for slot in range(self.num_slots):
            names = pa.array([block.drugs[slot] or None for block in blocks], pa.string())
            there = given[kept, slot]
            columns[f"drug_{slot + 1}"] = names.take(pa.array(block_W[kept], mask=~there))
            columns[f"log10_molar_{slot + 1}"] = pa.array(doses[kept, slot], mask=~there)
        return self._table(blocks, block_W[kept], columns)

    def _scores(self, blocks: Sequence[Block]) -> Any:
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        grids = {}
        for number, block in enumerate(blocks):
            grid = grid_of(block)
            if grid is None:
                self.dropped["block without wells of both drugs and of each alone"] += 1
                continue
            grids[number] = grid
            by_size[len(grid[0]), len(grid[1])].append(number)
        scores = np.full(len(blocks), np.nan)
        for numbers in by_size.values():
            first, second, inhibition = (
                np.stack([grids[n][i] for n in numbers]) for i in range(3)
            )
            if self.response == "combo_score":
                scores[numbers] = combo_scores(100 - inhibition)
            else:
                matrices = DoseMatrices(first, second, inhibition)
                scores[numbers] = synergy_scores(matrices, self.response)  # type: ignore[arg-type]
        unscored = np.isnan(scores)
        unscored[[n for n in range(len(blocks)) if n not in grids]] = False
        short = "an incomplete grid" if self.response == "combo_score" else "too few doses"
        reason = f"block with {short} for a {self.response} score"
        self.dropped[reason] += int(unscored.sum())
        kept = np.flatnonzero(np.isfinite(scores))
        columns: dict[str, Any] = {"response": scores[kept]}
        for slot in range(2):
            columns[f"drug_{slot + 1}"] = pa.array([blocks[int(n)].drugs[slot] for n in kept])
        return self._table(blocks, kept, columns)

    def _curves(self, blocks: Sequence[Block]) -> Any:
        """Fit a curve to each drug alone, and take its IC50 or AUC."""
        series = _series(blocks)
        alone = [_alone(blocks[n], slot) for n, slot in series]
        fits = fit_hill([x for x, _ in alone], [y for _, y in alone], VIABILITY)
        fitted = np.isfinite(fits.end)
        self.dropped["single drug with fewer than three doses"] += int((~fitted).sum())
        poor = f"curves miss their wells by more than {_POOR_FIT:.0f} points (RMSE; kept)"
        self._note(poor, fits.rmse > _POOR_FIT)
        if self.response == "auc":
            values = fits.mean_response() / 100
        else:
            values = fits.log10_ic50()
            far = fitted & ~(
                (values >= fits.lowest - _BEYOND) & (values <= fits.highest + _BEYOND)
            )
            self.dropped["half the cells are left at no dose up to ten times the tested ones"] += (
                int(far.sum())
            )
            values = np.where(far, np.nan, values)
            outside = np.isfinite(values) & ~fits.inside(values)
            self._note("IC50s lie beyond the doses tested (kept as fitted)", outside)
        return self._of_series(blocks, series, values)

    def _crossings(self, blocks: Sequence[Block]) -> Any:
        """Take the dose at which each drug alone lets growth fall to a level, as NCI does."""
        series = _series(blocks)
        values = np.full(len(series), np.nan)
        places: Counter[str] = Counter()
        for row, (n, slot) in enumerate(series):
            doses, growth = _alone(blocks[n], slot)
            if not np.isfinite(growth).any():
                self.dropped["single drug without wells"] += 1
                continue
            values[row], place = growth_crossing(doses, growth, _LEVELS[self.response])
            places[place] += 1
        for place, end in (("above", "highest"), ("below", "lowest")):
            if places[place]:
                note = f"drugs do not cross the level within their doses: the {end} stands for it"
                self.notes[note] += places[place]
        return self._of_series(blocks, series, values)

    def _of_series(
        self, blocks: Sequence[Block], series: Sequence[tuple[int, int]], values: Floats
    ) -> Any:
        kept = np.flatnonzero(np.isfinite(values))
        names = pa.array([blocks[n].drugs[slot] for n, slot in series], pa.string())
        block_N = np.array([n for n, _ in series], dtype=np.int64)[kept]
        columns = {"response": values[kept], "drug_1": names.take(pa.array(kept))}
        return self._table(blocks, block_N, columns)

    def _note(self, remark: str, which: npt.NDArray[np.bool_]) -> None:
        if which.any():
            self.notes[remark] += int(which.sum())

    def _table(
        self, blocks: Sequence[Block], block_N: npt.NDArray[np.int64], columns: dict[str, Any]
    ) -> Any:
        rows = pa.array(block_N)
        cells = pa.array([block.cell for block in blocks], pa.string())
        studies = pa.array([block.study or None for block in blocks], pa.string())
        return pa.table({"cell_id": cells.take(rows), "study": studies.take(rows), **columns})


def slots_of(response: str) -> int:
    """Give how many drugs a row of a response combines."""
    return 1 if response in ("ic50", "auc", *_LEVELS) else 2


def _series(blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """Name the drugs of blocks: number of the block, slot."""
    return [(n, slot) for n, block in enumerate(blocks) for slot in range(2) if block.drugs[slot]]


def _alone(block: Block, slot: int) -> tuple[Floats, Floats]:
    there = np.isfinite(block.log10_molar[:, slot]) & ~np.isfinite(block.log10_molar[:, 1 - slot])
    return block.log10_molar[there, slot], block.percent[there]


def grid_of(block: Block) -> tuple[Floats, Floats, Floats] | None:
    """Arrange a block's wells as a matrix; replicates are averaged.

    Returns:
        The doses of each drug, from none, and percent inhibition, NaN where there is no well;
        None: it lacks a drug alone, or wells of both.
    """
    there = np.isfinite(block.percent)
    sides = [_levels(block.log10_molar[there, slot]) for slot in range(2)]
    (first, row_W), (second, column_W) = sides
    if len(first) < 2 or len(second) < 2 or not np.isneginf([first[0], second[0]]).all():
        return None
    place = row_W * len(second) + column_W
    size = len(first) * len(second)
    count = np.bincount(place, minlength=size)
    total = np.bincount(place, 100 - block.percent[there], minlength=size)
    with np.errstate(invalid="ignore"):
        matrix = (total / np.where(count, count, np.nan)).reshape(len(first), len(second))
    usable = np.isfinite(matrix[1:, 1:] + matrix[1:, :1] + matrix[:1, 1:])
    return (first, second, matrix) if usable.any() else None


def _levels(doses: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Give the different doses, rising, and which of them each well has."""
    order = np.argsort(doses, kind="stable")
    rising = doses[order]
    with np.errstate(invalid="ignore"):
        new = np.concatenate([[True], np.diff(rising) > _SAME_DOSE])[: len(doses)]
    level = np.cumsum(new) - 1
    place = np.empty(len(doses), dtype=np.int64)
    place[order] = level
    return rising[new], place

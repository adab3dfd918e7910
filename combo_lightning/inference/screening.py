"""All pairs of drugs in many cell lines: encode once, stream the pairs, keep the best or all.

A first pass answers every pair, in int8 or bf16 where the processor has them; what may be among
the best is answered again in full precision, as `Predictor.predict` answers. Everything between is
kept in a folder beside the output, from which a stopped screen goes on.

Shapes: N pairs of a block.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from combo_lightning.data.orders import permutations
from combo_lightning.errors import InputError
from combo_lightning.inference.candidates import Candidates
from combo_lightning.inference.library import DrugStore, Read
from combo_lightning.inference.meter import Meter
from combo_lightning.inference.pair_space import Block, PairSpace
from combo_lightning.inference.predictor import Predictor
from combo_lightning.inference.respond import respond_rows
from combo_lightning.inference.screen_request import ScreenRequest, as_file, split_names
from combo_lightning.inference.screen_sinks import (
    Answers,
    ContrastSink,
    FloatArray,
    Sink,
    TableSink,
    TopSink,
)
from combo_lightning.inference.screen_work import ScreenWork
from combo_lightning.inference.tables import TableWriter, read_new_cells
from combo_lightning.model.pairs import PairScorer

logger = logging.getLogger(__name__)

# Pairs answered in both precisions before the screen, to learn how far the first pass errs.
SAMPLE_LINES, SAMPLE_PAIRS = 8, 1024
# The screen meets worse than the sample does, above all among the best: room for three times its
# largest error. More room means more pairs answered again, never a less certain list.
ROOM = 3.0
SECONDS_BETWEEN_SAVES = 10.0


@dataclass(frozen=True)
class ScreenReport:
    """What a screen did.

    Args:
        rows: Rows written; None: this part is done, and others are not.
        scores: Scores computed in all, also before a stop; of what was written, by all parts.
        rate: Scores a second of this run.
        skipped: Rows of the library that were not screened.
        sample_error: The largest error of the first pass in the sample, in the response's unit.
        kept_error: The same among the pairs that were answered again.
        proven: Whether no error exceeded what the margin allows.
    """

    rows: int | None
    scores: int
    rate: float
    skipped: list[Read]
    sample_error: float
    kept_error: float
    proven: bool


class Screen:
    """A screen under way.

    Args:
        request: What to screen.
    """

    def __init__(self, request: ScreenRequest) -> None:
        request.check()
        self.request = request
        self.predictor = Predictor.load(request.ckpt_path)
        self.members = self.predictor.members
        self.catalog = self.predictor.catalog
        if self.catalog.response.per_dose != (request.log10_molar is not None):
            need = "needs --log10_molar" if request.log10_molar is None else "knows no doses"
            raise InputError(f"the model predicts {self.catalog.response.name} and {need}")
        self.study = self.predictor.study(request.study or "", "--study")
        self.lines = self._choose_lines()
        self.work = ScreenWork(request)
        self.store = DrugStore(self.predictor, self.work.folder)
        library = as_file(request.drugs)
        try:
            self.store.fill(library)
            self.encoded = self.store.encoded()
            self.drug_ids = self._name_drugs()
            self.space = self._choose_pairs(library)
        except InputError:
            self.work.abandon()
            raise
        self._names = pa.array(self.drug_ids, pa.string())
        self.dose: float | None = None
        if request.log10_molar is not None:
            dose = np.array([request.log10_molar], dtype=np.float32)
            self.dose = float(self.catalog.dose_scale.apply(dose)[0])
        self._loaded: Block | None = None
        with torch.inference_mode():
            self.scorers = [
                PairScorer(network, encoded, request.dtype, self.dose, self.study)
                for network, encoded in zip(self.members.networks, self.encoded, strict=True)
            ]

    def _choose_lines(self) -> list[int]:
        request, cells = self.request, self.predictor.cells
        chosen: list[int] = list(range(len(cells.ids)))
        file = as_file(request.cells)
        if file is not None:
            self.predictor.add_cells(*read_new_cells(file))
            cells = self.predictor.cells
            chosen = list(range(chosen[-1] + 1, len(cells.ids)))
        elif request.cells is not None:
            chosen = [cells.index(name, "--cells") for name in split_names(request.cells)]
        self.high, self.low = (
            list(dict.fromkeys(cells.index(name, option) for name in split_names(words)))
            for option, words in (("--high", request.high), ("--low", request.low))
        )
        if self.high:
            both = set(self.high) & set(self.low)
            if both:
                raise InputError(f"'{cells.ids[both.pop()]}' stands in --high and in --low")
            chosen = [*self.high, *self.low]
        return list(dict.fromkeys(chosen))

    def _name_drugs(self) -> list[str]:
        """Name each encoded drug: as the library does, else by the model's identifier."""
        names = [
            *self.predictor.drugs.ids,
            *[""] * (self.store.count - len(self.predictor.drugs.ids)),
        ]
        for row in reversed(self.store.rows):
            if row.drug >= 0:
                names[row.drug] = row.name
        return names

    def _choose_pairs(self, library: Path | None) -> PairSpace:
        roster = self.predictor.drugs
        by_name = {row.name: row.drug for row in self.store.rows if row.drug >= 0}

        def find(words: str | None, option: str) -> list[int]:
            places = [by_name.get(n, -1) for n in split_names(words)]
            return [
                place if place >= 0 else roster.index(name, option)
                for name, place in zip(split_names(words), places, strict=True)
            ]

        chosen = list(range(len(roster.ids)))
        if library is not None:
            chosen = list(by_name.values())
            if not chosen:
                raise InputError(f"--drugs: no row of {library} can be screened")
        elif self.request.drugs is not None:
            chosen = find(self.request.drugs, "--drugs")
        contains = None
        if self.request.contains is not None:
            contains = np.array(list(dict.fromkeys(find(self.request.contains, "--contains"))))
        drugs = np.array(list(dict.fromkeys(chosen)), dtype=np.int64)
        if self.catalog.num_slots == 1:
            if contains is not None:
                raise InputError("--contains: the model takes one drug; leave the option out")
            # Each drug beside the empty slot.
            return PairSpace(np.array([self.store.count]), drugs, ordered=False)
        space = PairSpace(
            drugs, contains, ordered=self.predictor.network.config.join == "concatenate"
        )
        if not len(space):
            raise InputError("there is no pair to screen: name two different drugs or more")
        return space

    def run(self) -> ScreenReport:
        """Screen, or go on with it, and write the result; the last part, that of all parts.

        Raises:
            InputError: If the model answers something that is no number, or a part has vanished.
        """
        state = self.work.load()
        error = self.work.agree_on_error(self._measure_error)
        sink = self._sink(ROOM * error, self.work.folder)
        if state:
            sink.add(state, self.work.folder)
        blocks, done = int(state.get("blocks", 0)), int(state.get("scores", 0))
        before = done
        saved_at = start = time.monotonic()
        with Meter(self.num_scores, done) as meter, torch.inference_mode():
            for block in islice(self.space.blocks(self.work.part), blocks, None):
                self._answer(block, sink)
                sink.end_block(block)
                blocks, done = block.number + 1, done + len(block.i_N) * len(self.lines)
                meter.reach(done)
                if time.monotonic() - saved_at > SECONDS_BETWEEN_SAVES:
                    self.work.save({"blocks": blocks, "scores": done, **sink.state()})
                    saved_at = time.monotonic()
        rate = (done - before) / (time.monotonic() - start)
        if done > before or not state:
            self.work.save({"blocks": blocks, "scores": done, **sink.state()})
        rows = None
        skipped = [row for row in self.store.rows if row.drug < 0]
        if self.work.is_last():
            if self.request.part is not None:
                sink, done = self._gather(error)
            rows = sink.finish(self.request.out)
            self._write_skipped(skipped)
            self.work.remove()
        return ScreenReport(rows, done, rate, skipped, error, sink.largest_error, sink.proven)

    def _gather(self, error: float) -> tuple[Sink, int]:
        """Put what all parts have kept together, as one screen would have kept it.

        Returns:
            It, and the number of scores.

        Raises:
            InputError: If a part has vanished.
        """
        sink, done = self._sink(ROOM * error, self.work.shared), 0
        for folder, state in self.work.parts():
            sink.add(state, folder)
            done += int(state["scores"])
        return sink, done

    def _answer(self, block: Block, sink: Sink) -> None:
        for place in range(len(self.lines)):
            answers = self._responses(block, self.lines[place])
            response_N = self.members.mean(answers).astype(np.float32)
            if not np.isfinite(response_N).all():
                n = int(np.flatnonzero(~np.isfinite(response_N))[0])
                drug = self.drug_ids[block.first_N[n]]
                line = self.predictor.cells.ids[self.lines[place]]
                raise InputError(
                    f"{self.request.ckpt_path}: the answer for '{drug}' in '{line}' is not a "
                    "finite number; the model diverged in training"
                )
            sink.take(place, block, response_N, self.members.spread(answers))

    def _responses(self, block: Block, cell: int) -> list[FloatArray]:
        """Answer a block in a line by each network, in the response's unit."""
        if self._loaded is not block:
            drugs = torch.from_numpy(block.first_A), torch.from_numpy(block.second_E)
            for scorer in self.scorers:
                scorer.load_block(*drugs)
            self._weight_NP = self._weights(block)
            self._i_N, self._j_N = torch.from_numpy(block.i_N), torch.from_numpy(block.j_N)
            self._loaded = block
        return [self._scores(scorer, cell) for scorer in self.scorers]

    def _scores(self, scorer: PairScorer, cell: int) -> FloatArray:
        scorer.load_line(cell)
        answer_N = torch.empty(len(self._i_N))
        at_once = scorer.pairs_at_once
        for start in range(0, len(answer_N), at_once):
            rows = slice(start, start + at_once)
            weight = None if self._weight_NP is None else self._weight_NP[rows]
            answer_N[rows] = scorer.score(self._i_N[rows], self._j_N[rows], weight)
        return self.catalog.in_unit(answer_N.numpy(), np.full(len(answer_N), self.study))

    def _weights(self, block: Block) -> Tensor | None:
        """Weigh the places of both drugs as `respond` weighs the orders of the slots."""
        placements = self.scorers[0].placements
        if len(placements) == 1:
            return None
        drug_NK = self._slots(block.first_N, block.second_N)
        by_order = self.catalog.orders.weights(drug_NK)
        weight_NP = np.zeros((len(drug_NK), len(placements)), dtype=np.float32)
        for column, order in enumerate(permutations(self.catalog.num_slots)):
            place = placements.index((order.index(0), order.index(1)))
            weight_NP[:, place] += by_order[:, column]
        return torch.from_numpy(weight_NP)

    def _slots(
        self, first_N: npt.NDArray[Any], second_N: npt.NDArray[Any]
    ) -> npt.NDArray[np.int64]:
        """Lay pairs out over the slots, ``[N, K]``; -1: empty."""
        drug_NK = np.full((len(first_N), max(2, self.catalog.num_slots)), -1, dtype=np.int64)
        drug_NK[:, 0], drug_NK[:, 1] = first_N, second_N
        drug_NK[drug_NK == self.store.count] = -1
        if self.catalog.num_slots == 1:
            alone: npt.NDArray[np.int64] = drug_NK.max(axis=1, keepdims=True)
            return alone
        return drug_NK

    def _exact(
        self, cell_N: npt.NDArray[Any], first_N: npt.NDArray[Any], second_N: npt.NDArray[Any]
    ) -> list[FloatArray]:
        """Answer pairs in full precision by each network."""
        drug_NK = self._slots(first_N, second_N)
        dose_NK = None
        if self.dose is not None:
            dose_NK = np.where(drug_NK >= 0, np.float32(self.dose), np.float32(0))
        cell_N = cell_N.astype(np.int64)
        study_N = np.full(len(cell_N), self.study)
        return [
            respond_rows(network, encoded, self.catalog, cell_N, drug_NK, dose_NK, study_N)
            for network, encoded in zip(self.members.networks, self.encoded, strict=True)
        ]

    def _measure_error(self) -> float:
        """Answer random pairs in both precisions; give the largest difference.

        Of an ensemble, the mean of its members' largest differences: if none errs by more than
        its own bound, their mean does not err by more than the bounds' mean.
        """
        draw = np.random.default_rng(0)
        sample = self.space.sample(SAMPLE_PAIRS, draw)
        worst = [0.0] * len(self.scorers)
        with torch.inference_mode():
            for cell in draw.choice(self.lines, min(len(self.lines), SAMPLE_LINES), replace=False):
                found = self._responses(sample, int(cell))
                cells = np.full(SAMPLE_PAIRS, cell)
                exact = self._exact(cells, sample.first_N, sample.second_N)
                for m, (x, y) in enumerate(zip(found, exact, strict=True)):
                    error = float(np.abs(x.astype(np.float32) - y).max())
                    worst[m] = max(worst[m], error)
        # Sums of fp32 in another order differ by this much even where no sample shows it.
        one = np.ptp(self.catalog.in_unit(np.array([0.0, 1.0]), np.full(2, self.study)))
        return max(self.members.mean(worst), 1e-5 * float(one))

    @property
    def num_scores(self) -> int:
        """Scores of this part; of one of several to within a few thousand pairs."""
        begin, end = self.work.part.share(len(self.space))
        return (end - begin) * len(self.lines)

    def _sink(self, error: float, folder: Path) -> Sink:
        """Choose what becomes of the scores, each of which may err by `error`."""
        top, lines = self.request.top, self.lines
        ids = [self.predictor.cells.ids[line] for line in lines]
        answers = Answers(lines, ids, self._exact, self._named, self.members)
        if top is None:
            return TableSink(answers, folder, self.work.part.number)
        if not self.high:
            candidates = Candidates(len(lines), top, margin=2 * error)
            return TopSink(answers, candidates, lowest=self.request.lowest)
        # Each of the two means may err as much as a score.
        return ContrastSink(
            answers,
            Candidates(1, top, margin=4 * error),
            high=[lines.index(line) for line in self.high],
            low=[lines.index(line) for line in self.low],
        )

    def _named(self, first_N: npt.NDArray[Any], second_N: npt.NDArray[Any]) -> dict[str, Any]:
        """Name pairs, and tell which drugs training held together."""
        drug_NK = self._slots(first_N, second_N)
        columns: dict[str, Any] = {
            f"drug_{k + 1}": self._names.take(pa.array(drug_NK[:, k], mask=drug_NK[:, k] < 0))
            for k in range(min(2, self.catalog.num_slots))
        }
        kind = self.catalog.response
        columns["response_kind"] = pa.array([kind.name] * len(first_N), pa.string())
        columns["unit"] = pa.array([kind.unit] * len(first_N), pa.string())
        columns["combination_seen"] = pa.array(self.catalog.orders.contains_any_order(drug_NK))
        return columns

    def _write_skipped(self, skipped: Sequence[Read]) -> None:
        if not skipped:
            return
        out = self.request.out
        with TableWriter(out.with_name(f"{out.stem}.skipped.csv")) as writer:
            writer.write(
                pa.record_batch(
                    {
                        "row": pa.array([row.row for row in skipped]),
                        "name": pa.array([row.name for row in skipped], pa.string()),
                        "problem": pa.array([row.problem for row in skipped], pa.string()),
                    }
                )
            )

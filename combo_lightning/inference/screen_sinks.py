"""What a screen does with its scores: keep the best of each line, contrast lines, or write all.

Shapes: N pairs of a block, C pairs kept.
"""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from combo_lightning.inference.candidates import Candidates
from combo_lightning.inference.members import Members
from combo_lightning.inference.pair_space import Block
from combo_lightning.inference.tables import TableWriter, answer_columns

SCORES = "scores"
FloatArray = npt.NDArray[np.float64]
# Exact responses of (cell lines [C], first drugs [C], second drugs [C]) by each network, in the
# response's unit.
Exact = Callable[[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]], list[FloatArray]]
# The columns that name pairs, as plain text.
Named = Callable[[npt.NDArray[Any], npt.NDArray[Any]], dict[str, Any]]
_ROW = np.dtype(
    [("line", "<i8"), ("rank", "<i8"), ("value", "<f8"), ("first", "<i8"), ("second", "<i8")]
)


@dataclass(frozen=True)
class Answers:
    """What sinks ask a screen.

    Args:
        lines: The screened cell lines, as rows of the encoded table.
        line_ids: Their identifiers.
        exact: Answers pairs in full precision.
        named: Names pairs.
        members: The networks; what is ranked is their mean.
    """

    lines: Sequence[int]
    line_ids: Sequence[str]
    exact: Exact
    named: Named
    members: Members


class Sink(ABC):
    """Takes the scores of one block after the other.

    Args:
        answers: Names and exact answers of pairs.
    """

    # The largest error of a score that was answered again, and whether all stayed in bounds.
    largest_error = 0.0
    proven = True

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    @abstractmethod
    def take(
        self,
        line: int,
        block: Block,
        response_N: npt.NDArray[np.float32],
        spread_N: FloatArray | None = None,
    ) -> None:
        """Take the responses of a block's pairs in a line.

        Args:
            line: The line's place in `Answers.lines`.
            block: The pairs.
            response_N: Their responses; of an ensemble the members' mean.
            spread_N: The members' spread; None: it is one model.
        """

    @abstractmethod
    def end_block(self, block: Block) -> None:
        """Learn that all lines of a block have been taken."""

    @abstractmethod
    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Give what it takes to go on."""

    @abstractmethod
    def add(self, state: dict[str, npt.NDArray[Any]], folder: Path) -> None:
        """Add what a sink has taken: this one before a stop, or that of the part after these.

        Args:
            state: What it gave as `state`.
            folder: Where its screen works.
        """

    @abstractmethod
    def finish(self, out: Path) -> int:
        """Write the result, aside and renamed when it is whole; give its rows."""


class TopSink(Sink):
    """The n best pairs of each line, answered anew in full precision.

    Args:
        answers: As in `Sink`.
        candidates: Keeps what may be among the best; a group is a line.
        lowest: Whether low responses are the best.
    """

    def __init__(self, answers: Answers, candidates: Candidates, *, lowest: bool) -> None:
        super().__init__(answers)
        self.candidates = candidates
        self.top = candidates.top
        self.sign = -1.0 if lowest else 1.0

    def take(
        self,
        line: int,
        block: Block,
        response_N: npt.NDArray[np.float32],
        spread_N: FloatArray | None = None,
    ) -> None:
        """Keep what may be among the best."""
        scores = np.float32(self.sign) * response_N
        self.candidates.offer(line, scores, block.first_N, block.second_N)

    def end_block(self, block: Block) -> None:
        """Do nothing: what is kept does not depend on blocks."""

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Give the pairs kept so far."""
        return self.candidates.to_arrays()

    def add(self, state: dict[str, npt.NDArray[Any]], folder: Path) -> None:
        """Consider the pairs that were kept."""
        self.candidates.add(state)

    def _check(self, exact: FloatArray, scores: npt.NDArray[np.float32]) -> None:
        errors = np.abs(exact - self.sign * scores)
        self.largest_error = max(self.largest_error, float(errors.max(initial=0.0)))
        allowed = self.candidates.margin / 2
        self.proven = self.largest_error <= allowed and not self.candidates.overflowed

    def _best(self, value_C: FloatArray, kept: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Rank: the best value first, equal ones by their drugs."""
        order = np.lexsort((kept["second"], kept["first"], -self.sign * value_C))
        best: npt.NDArray[np.int64] = order[: self.top]
        return best

    def finish(self, out: Path) -> int:
        """Answer the kept pairs exactly, and write the best of each line with both ranks."""
        members = self.answers.members
        parts, answered = [], []
        for place, cell in enumerate(self.answers.lines):
            kept = self.candidates.kept(place)
            found = self.answers.exact(np.full(len(kept), cell), kept["first"], kept["second"])
            value_C = members.mean(found)
            self._check(value_C, kept["score"])
            best = self._best(value_C, kept)
            answered.append([x[best] for x in found])
            chosen = np.empty(len(best), dtype=_ROW)
            chosen["line"], chosen["rank"] = place, np.arange(1, len(best) + 1)
            chosen["value"] = value_C[best]
            chosen["first"], chosen["second"] = kept["first"][best], kept["second"][best]
            parts.append(chosen)
        rows = np.concatenate(parts)
        # The n best over all lines are among the n best of their lines.
        order = np.lexsort(
            (rows["second"], rows["first"], rows["line"], -self.sign * rows["value"])
        )
        overall = np.zeros(len(rows), dtype=np.int64)
        overall[order[: self.top]] = np.arange(1, min(self.top, len(rows)) + 1)
        lines = pa.array(self.answers.line_ids, pa.string())
        columns = {
            "rank": pa.array(rows["rank"]),
            "rank_overall": pa.array(overall, mask=overall == 0),
            "cell_id": lines.take(pa.array(rows["line"])),
            **self.answers.named(rows["first"], rows["second"]),
            **answer_columns(members, [np.concatenate(x) for x in zip(*answered, strict=True)]),
        }
        with TableWriter(out) as writer:
            writer.write(pa.record_batch(columns))
        return len(rows)


class ContrastSink(TopSink):
    """The n pairs that differ most between two sets of lines: mean(high) - mean(low).

    Args:
        answers: As in `Sink`; its lines are those of both sets.
        candidates: Keeps what may be among the best, in one group.
        high: Places in the lines of the first set, distinct.
        low: Those of the second set.
    """

    def __init__(
        self,
        answers: Answers,
        candidates: Candidates,
        *,
        high: Sequence[int],
        low: Sequence[int],
    ) -> None:
        super().__init__(answers, candidates, lowest=False)
        self.share = np.zeros(len(answers.lines))
        self.share[list(high)] += 1 / len(high)
        self.share[list(low)] -= 1 / len(low)
        self._sum_N: FloatArray | None = None

    def take(
        self,
        line: int,
        block: Block,
        response_N: npt.NDArray[np.float32],
        spread_N: FloatArray | None = None,
    ) -> None:
        """Add a line's responses to the contrast."""
        part = self.share[line] * response_N.astype(np.float64)
        self._sum_N = part if self._sum_N is None else self._sum_N + part

    def end_block(self, block: Block) -> None:
        """Keep what may be among the best contrasts."""
        assert self._sum_N is not None
        super().take(0, block, self._sum_N.astype(np.float32))
        self._sum_N = None

    def finish(self, out: Path) -> int:
        """Answer the kept pairs exactly in all lines, and write the best contrasts."""
        kept = self.candidates.kept(0)
        members, by_line = self.answers.members, []
        contrasts = [np.zeros(len(kept)) for _ in members.networks]
        for share, cell in zip(self.share, self.answers.lines, strict=True):
            found = self.answers.exact(np.full(len(kept), cell), kept["first"], kept["second"])
            contrasts = [sum_C + share * x for sum_C, x in zip(contrasts, found, strict=True)]
            by_line.append(members.mean(found))
        value_C = members.mean(contrasts)
        self._check(value_C, kept["score"])
        best = self._best(value_C, kept)
        means = {
            name: np.mean([x for s, x in zip(self.share, by_line, strict=True) if s * sign > 0], 0)
            for name, sign in (("mean_high", 1), ("mean_low", -1))
        }
        columns = {
            "rank": pa.array(np.arange(1, len(best) + 1)),
            **self.answers.named(kept["first"][best], kept["second"][best]),
            **answer_columns(members, [x[best] for x in contrasts], "contrast"),
            **{name: pa.array(mean[best]) for name, mean in means.items()},
        }
        with TableWriter(out) as writer:
            writer.write(pa.record_batch(columns))
        return len(best)


class TableSink(Sink):
    """Every score, as Parquet files ``cell_id=LINE/part-PART-BLOCK.parquet``.

    Args:
        answers: As in `Sink`.
        folder: Where the screen works; they are gathered there until it is whole.
        part: Number of the part of the screen, from 1.
    """

    def __init__(self, answers: Answers, folder: Path, part: int) -> None:
        super().__init__(answers)
        self.folder = folder / SCORES
        self._part = part
        self._names: dict[str, Any] = {}

    def take(
        self,
        line: int,
        block: Block,
        response_N: npt.NDArray[np.float32],
        spread_N: FloatArray | None = None,
    ) -> None:
        """Write one file."""
        if not self._names:
            self._names = self.answers.named(block.first_N, block.second_N)
        # Slashes and spaces of names are written as Arrow's readers expect them.
        file = self.folder / f"cell_id={quote(self.answers.line_ids[line], safe='')}"
        file.mkdir(parents=True, exist_ok=True)
        file /= f"part-{self._part:04d}-{block.number:06d}.parquet"
        aside = file.with_name(f".{file.name}.partial")
        columns = {**self._names, "prediction": pa.array(response_N)}
        if spread_N is not None:
            columns["prediction_spread"] = pa.array(spread_N.astype(np.float32))
        pq.write_table(pa.table(columns), aside, compression="zstd")
        os.replace(aside, file)

    def end_block(self, block: Block) -> None:
        """Forget the names of the block's pairs."""
        self._names = {}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Give nothing: the files stand in the folder."""
        return {}

    def add(self, state: dict[str, npt.NDArray[Any]], folder: Path) -> None:
        """Move its files here; a block that was not saved is written again over its files."""
        if folder / SCORES == self.folder:
            return
        for file in sorted((folder / SCORES).glob("*/part-*.parquet")):
            here = self.folder / file.parent.name
            here.mkdir(parents=True, exist_ok=True)
            os.replace(file, here / file.name)

    def finish(self, out: Path) -> int:
        """Give the folder its name."""
        rows = 0
        for file in sorted(self.folder.rglob("*.parquet")):
            if file.name.startswith("."):
                file.unlink()  # torn by an earlier stop
                continue
            rows += pq.read_metadata(file).num_rows
        shutil.move(self.folder, out)
        return rows

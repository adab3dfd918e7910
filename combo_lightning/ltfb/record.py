"""What each trainer group writes down of each round: ``group_K/rounds.jsonl``, one line a round.

The record is enough to take every decision again (`replay`) and to follow every model back to
where it began (`lineage`).
"""

import base64
import binascii
import json
import logging
import operator
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.errors import InputError
from combo_lightning.ltfb.fields import Fields, parse_object, plain_number

logger = logging.getLogger(__name__)

ROUNDS = "rounds.jsonl"
_GROUP = re.compile(r"group_(\d+)")
Rows = npt.NDArray[np.float64]


# Equality of arrays is no truth value: two records are alike where their lines are.
@dataclass(frozen=True, eq=False)
class RoundRecord:
    """One round as one trainer group saw it.

    Args:
        round: The tournament's number.
        group: The group that writes.
        step: Training steps that it had done.
        time: When the round was over, ISO 8601 with its zone.
        living: The groups that it took for alive.
        met: The other groups whose scores it had; of an average, those whose models are in it.
        scores: Scores before the exchange by group and metric, its own included.
        ages: Rounds since each group's model was last replaced.
        rows: Scores of each tournament row, by group and metric; None: the rule needs none.
        source: The group whose model was to be kept.
        reason: Why.
        margin: By how much it was better.
        adopted: Whether the model of `source` came; False where `source` is another group: the
            exchange failed, and the group kept its own.
        mutated: Hyperparameters that were changed after adopting: before and after.
        hyperparameters: All of them, after the round.
        bytes: What the group's first process sent and received.
        seconds: What the round took, by phase; ``total`` is all of it.
    """

    round: int
    group: int
    step: int
    time: str
    living: tuple[int, ...]
    met: tuple[int, ...]
    scores: Mapping[int, Mapping[str, float]]
    ages: Mapping[int, int]
    rows: Mapping[int, Mapping[str, Rows]] | None
    source: int
    reason: str
    margin: float
    adopted: bool
    mutated: Mapping[str, tuple[float, float]]
    hyperparameters: Mapping[str, float]
    bytes: int
    seconds: Mapping[str, float]

    @property
    def failed(self) -> bool:
        """Whether another group's model was to come and did not."""
        return self.source != self.group and not self.adopted

    def to_line(self) -> str:
        """Give the record as one line of standard JSON, without the line's end."""
        plain: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["living"], plain["met"] = list(self.living), list(self.met)
        plain["scores"] = {str(g): _numbers(scores) for g, scores in self.scores.items()}
        plain["ages"] = {str(g): int(age) for g, age in self.ages.items()}
        if self.rows is not None:
            plain["rows"] = {
                str(g): {metric: _pack(rows) for metric, rows in of_group.items()}
                for g, of_group in self.rows.items()
            }
        plain["adopted"], plain["margin"] = bool(self.adopted), plain_number(self.margin)
        plain["mutated"] = {
            name: [plain_number(before), plain_number(after)]
            for name, (before, after) in self.mutated.items()
        }
        plain["hyperparameters"] = _numbers(self.hyperparameters)
        plain["seconds"] = _numbers(self.seconds)
        # NumPy's whole numbers are welcome.
        return json.dumps(plain, allow_nan=False, default=operator.index)

    @classmethod
    def from_line(cls, line: str, where: str = "the line") -> "RoundRecord":
        """Read a line.

        Args:
            line: What `to_line` gave.
            where: File and line, for errors.

        Raises:
            InputError: If the line is no record.
        """
        found = parse_object(line, where)
        rows = None
        if found.plain().get("rows", {}) is not None:
            rows = found.inner("rows").by_group(lambda f, g: f.inner(g).each(_unpack))
        return cls(
            round=found.integer("round"),
            group=found.integer("group"),
            step=found.integer("step"),
            time=_time(found),
            living=found.integers("living"),
            met=found.integers("met"),
            scores=found.inner("scores").by_group(lambda f, g: f.inner(g).numbers()),
            ages=found.inner("ages").by_group(Fields.integer),
            rows=rows,
            source=found.integer("source"),
            reason=found.text("reason"),
            margin=found.number("margin"),
            adopted=found.flag("adopted"),
            mutated=found.inner("mutated").each(Fields.pair),
            hyperparameters=found.inner("hyperparameters").numbers(),
            bytes=found.integer("bytes"),
            seconds=found.inner("seconds").numbers(),
        )


# Of all rounds and groups, by (round, group).
Rounds = dict[tuple[int, int], RoundRecord]


class RoundLog:
    """A group's ``rounds.jsonl``, to write; only the group's first process has one.

    Args:
        path: The file; it and its folder are made at the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mended = False

    def append(self, record: RoundRecord) -> None:
        """Add a line, in one write: a process that is killed leaves it whole or cut off.

        What an earlier start left cut off is dropped first.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = f"{record.to_line()}\n".encode()
        with self.path.open("ab", buffering=0) as file:
            if not self._mended:
                _drop_cut_line(self.path)
                self._mended = True
            file.write(line)
            os.fsync(file.fileno())


def read_rounds(run: Path) -> Rounds:
    """Read the records of all groups of a run.

    Groups and rounds may be missing. Where a round is there twice, after a resume, the later line
    counts. A last line that was cut off is left out, with a note.

    Args:
        run: The folder that holds ``group_0/`` ...

    Returns:
        Records by round and group, in this order.

    Raises:
        InputError: If a file holds something else.
    """
    found: Rounds = {}
    for folder in run.glob("group_*"):
        name, path = _GROUP.fullmatch(folder.name), folder / ROUNDS
        if name is None or not path.is_file():
            continue
        for record in _read_file(path, int(name.group(1))):
            found[record.round, record.group] = record
    return dict(sorted(found.items()))


def _read_file(path: Path, group: int) -> list[RoundRecord]:
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        logger.warning("%s: line %d was cut off and is left out", path, len(lines) + 1)
    records = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        record = RoundRecord.from_line(line.decode(errors="replace"), where)
        if record.group != group:
            raise InputError(f"{where}: 'group' is {record.group}, expected {group}")
        records.append(record)
    return records


def _drop_cut_line(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _time(found: Fields) -> str:
    text = found.text("time")
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{found.where}: 'time' is '{text}', expected such as 2026-11-25T13:00:00+00:00"
        ) from error
    return text


def _numbers(values: Mapping[str, float]) -> dict[str, float | str]:
    return {name: plain_number(value) for name, value in values.items()}


def _pack(rows: Rows) -> str:
    return base64.b64encode(np.asarray(rows, "<f8").tobytes()).decode("ascii")


def _unpack(found: Fields, metric: str) -> Rows:
    text = found.text(metric)
    try:
        content = base64.b64decode(text, validate=True)
        return np.frombuffer(content, "<f8").astype(np.float64)
    except (binascii.Error, ValueError) as error:
        raise InputError(
            f"{found.where}: '{metric}' is no base64 of 8-byte numbers ({error})"
        ) from error

"""A process on each node of a job, which is asked and answers through srun's own streams.

srun hands each line of its input to all processes, and what they print comes back: by Slurm's
network, which works wherever jobs do.
"""

import contextlib
import json
import queue
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from signal import SIGKILL, SIGTERM
from typing import IO, Any, Self

# A longer line could be cut by srun, and mixed with another node's.
LINE_LETTERS = 600
_LINE = re.compile(r"^(\S+) (\d+)([+.]) (.*)$")
# What srun says of a process that is gone.
_GONE = re.compile(r"error: (\S+): tasks? |failed on node (\S+):")


def answer_lines(name: str, number: int, answer: object) -> list[str]:
    """Write an answer as lines that srun keeps whole; the processes print them.

    Args:
        name: The node.
        number: Of the question.
        answer: What can be written as JSON.
    """
    text = json.dumps(answer)
    parts = [text[i : i + LINE_LETTERS] for i in range(0, len(text), LINE_LETTERS)]
    ends = ["+"] * (len(parts) - 1) + ["."]
    return [f"{name} {number}{end} {part}" for end, part in zip(ends, parts, strict=True)]


class Nodes:
    """The processes; a context, at whose end they end.

    A node that does not answer in time is not asked again.

    Args:
        names: The nodes.
        command: srun and the program that it starts.
        end_seconds: How long they may take to end by themselves.
    """

    def __init__(
        self, names: Sequence[str], command: Sequence[str], end_seconds: float = 10.0
    ) -> None:
        self.names = list(names)
        self.silent: dict[str, str] = {}
        self._known = set(names)
        self._end_seconds = end_seconds
        self._number = 0
        self._heard: queue.Queue[tuple[str, int, Any]] = queue.Queue()
        self._errors: list[str] = []
        self._srun = subprocess.Popen(
            command,
            text=True,
            errors="replace",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        streams = ((self._listen, self._srun.stdout), (self._note, self._srun.stderr))
        self._listeners = [
            threading.Thread(target=listen, args=(stream,), daemon=True)
            for listen, stream in streams
        ]
        for thread in self._listeners:
            thread.start()

    @property
    def living(self) -> list[str]:
        """Nodes that have answered so far."""
        return [name for name in self.names if name not in self.silent]

    def ask(self, what: str, patience: float, **arguments: object) -> dict[str, Any]:
        """Ask all living nodes the same.

        Args:
            what: The question, one of `probe`'s.
            patience: Seconds that they may take.
            arguments: The question's.

        Returns:
            The answer of each that has answered.
        """
        answers, _ = self.ask_timed(what, patience, **arguments)
        return answers

    def ask_timed(
        self, what: str, patience: float, **arguments: object
    ) -> tuple[dict[str, Any], Mapping[str, float]]:
        """Ask, and tell how many seconds after the question each answer came.

        Args:
            what: The question, one of `probe`'s.
            patience: Seconds that they may take.
            arguments: The question's.
        """
        self._number += 1
        question = {"number": self._number, "ask": what, "arguments": arguments}
        start = time.monotonic()
        self._say(question)
        answers: dict[str, Any] = {}
        came: dict[str, float] = {}
        while missing := [name for name in self.living if name not in answers]:
            try:
                left = max(0.0, start + patience - time.monotonic())
                # Looks up now and then whether srun says that somebody is gone.
                name, number, answer = self._heard.get(timeout=min(0.5, left) or 0.001)
            except queue.Empty:
                self._bury(missing, f"no answer within {patience:.0f} s", late=left == 0)
                continue
            if number == self._number:
                answers[name], came[name] = answer, time.monotonic() - start
        return {name: answers[name] for name in self.names if name in answers}, came

    def _bury(self, missing: Sequence[str], why: str, *, late: bool) -> None:
        """Give up those who are gone, or all who have not answered where it is late."""
        ended = self._srun.poll() is not None
        if ended:
            self._hear_out()
        said = [(line, set(re.split(r"[\s,:]+", line))) for line in list(self._errors)]
        for name in missing:
            gone = [_GONE.search(line) for line, words in said if name in words]
            if late or ended or any(found and name in found.groups() for found in gone):
                # What is said of this node, or of nobody.
                own = [line for line, words in said if name in words or not words & self._known]
                self.silent[name] = "; ".join(own[-2:]) or why

    def _say(self, question: Mapping[str, object]) -> None:
        assert self._srun.stdin is not None
        with contextlib.suppress(OSError):  # srun has ended: nobody will answer.
            self._srun.stdin.write(json.dumps(question) + "\n")
            self._srun.stdin.flush()

    def _listen(self, stream: IO[str]) -> None:
        parts: dict[str, str] = {}
        with stream:
            for line in stream:
                found = _LINE.match(line)
                if found is None or found[1] not in self._known:
                    continue  # What else the program's libraries print.
                name, number, more, text = found.groups()
                parts[name] = parts.get(name, "") + text
                if more == ".":
                    with contextlib.suppress(ValueError):
                        self._heard.put((name, int(number), json.loads(parts[name])))
                    parts[name] = ""

    def _note(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                if "error:" in line or "Error" in line:
                    # A step's daemon says its node as part of its own name.
                    self._errors.append(line.strip().removeprefix("slurmstepd-"))

    def _hear_out(self) -> None:
        """Read what is left, unless somebody else keeps the streams open."""
        for thread in self._listeners:
            thread.join(self._end_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._srun.stdin is not None
        with contextlib.suppress(OSError):
            self._srun.stdin.close()
        for signal in (0, SIGTERM, SIGKILL):
            self._srun.send_signal(signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._srun.wait(self._end_seconds)
                break
        self._hear_out()

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
_END_SECONDS = 10.0


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
    """

    def __init__(self, names: Sequence[str], command: Sequence[str]) -> None:
        self.names = list(names)
        self.silent: dict[str, str] = {}
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
        for listen, stream in ((self._listen, self._srun.stdout), (self._note, self._srun.stderr)):
            threading.Thread(target=listen, args=(stream,), daemon=True).start()

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
        said = list(self._errors)
        ended = self._srun.poll() is not None
        for name in missing:
            own = [line for line in said if name in re.split(r"[\s,:]+", line)]
            gone = any(name in (found[1], found[2]) for found in map(_GONE.search, own) if found)
            if gone or late or ended:
                words = (own or said)[-2:]
                self.silent[name] = "; ".join(words) or why

    def _say(self, question: Mapping[str, object]) -> None:
        assert self._srun.stdin is not None
        with contextlib.suppress(OSError):  # srun has ended: nobody will answer.
            self._srun.stdin.write(json.dumps(question) + "\n")
            self._srun.stdin.flush()

    def _listen(self, stream: IO[str]) -> None:
        parts: dict[str, str] = {}
        for line in stream:
            found = _LINE.match(line)
            if found is None or found[1] not in self.names:
                continue  # What else the program's libraries print.
            name, number, more, text = found.groups()
            parts[name] = parts.get(name, "") + text
            if more == ".":
                with contextlib.suppress(ValueError):
                    self._heard.put((name, int(number), json.loads(parts[name])))
                parts[name] = ""

    def _note(self, stream: IO[str]) -> None:
        for line in stream:
            if "error:" in line or "Error" in line:
                self._errors.append(line.strip())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._srun.stdin is not None
        with contextlib.suppress(OSError):
            self._srun.stdin.close()
        for signal in (0, SIGTERM, SIGKILL):
            self._srun.send_signal(signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._srun.wait(_END_SECONDS)
                return

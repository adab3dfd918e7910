"""The process on a node that answers the examination: a question a line, an answer a few lines."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from combo_lightning.doctor import folder, machine, names
from combo_lightning.doctor.nodes import answer_lines
from combo_lightning.errors import InputError

_T = TypeVar("_T")

# How long the first process of a rendezvous waits for the others, here; runs wait for minutes.
MEET_SECONDS = 20.0
SUM_SECONDS = 40.0


class Probe:
    """A node, and what it can be asked; each public method is a question.

    Args:
        name: Slurm's name of the node.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._doors = names.Doors(name)
        self._store: Any = None

    def place(self) -> dict[str, Any]:
        """Where are you?"""
        return asdict(names.find_place(self._doors))

    def clock(self) -> float:
        """What time is it?"""
        return time.time()

    def machine(self, data: str | None) -> dict[str, Any]:
        """What do you have, and can you read the data set?"""
        seen = None if data is None else asdict(machine.examine_data(Path(data)))
        return {"machine": asdict(machine.examine_machine()), "data": seen}

    def reach(self, doors: Mapping[str, list[int]]) -> dict[str, Any]:
        """Which of the others do you find by name?"""
        return names.reach_all({name: doors[name] for name in doors if name != self._name})

    def store(self) -> int:
        """At which port can a pair meet on this node?"""
        from combo_lightning.parallel.probe import open_store

        self._store = open_store()
        port: int = self._store.port
        return port

    def pair(
        self, round_name: str, pairs: Mapping[str, tuple[str, int, int]]
    ) -> tuple[float, float] | str | None:
        """How fast do you and your partner of this round sum?"""
        if self._name not in pairs:
            return None
        from combo_lightning.parallel.probe import connect, measure

        host, port, rank = pairs[self._name]

        def sum_with_partner() -> tuple[float, float]:
            return measure(connect(host, port) if rank else self._store, round_name, rank, 2)

        return _in_time(sum_with_partner)

    def meet(self, step: str, order: list[str]) -> tuple[int, float, float, float] | str:
        """Do you find the others as the processes of a run do?"""
        from combo_lightning.parallel.probe import connect, measure, open_store
        from combo_lightning.slurm.rendezvous import ask_port, tell_port

        rank = order.index(self._name)

        def meet_and_sum() -> tuple[int, float, float, float]:
            start = time.monotonic()
            if rank:
                port = ask_port(step, rank, order[0], MEET_SECONDS)
            else:
                port = tell_port(step, len(order), MEET_SECONDS)
            met = time.monotonic() - start
            store = connect(order[0], port) if rank else open_store(port)
            return port, met, *measure(store, step, rank, len(order))

        return _in_time(meet_and_sum)

    def note(self, path: str) -> dict[str, Any]:
        """Leave a note in the shared folder."""
        return asdict(folder.leave_note(Path(path), self._name))

    def notes(self, path: str, order: list[str]) -> list[str]:
        """Whose notes do you see?"""
        return folder.find_notes(Path(path), order)

    def ball(self, path: str, order: list[str]) -> dict[str, float | None]:
        """How long until a new file is seen?"""
        return folder.play_ball(Path(path), self._name, order) if self._name in order else {}

    def race(self, path: str, begin: Mapping[str, float]) -> list[int] | str:
        """Which hard links did you make first?"""
        if self._name not in begin:
            return []
        return folder.race(Path(path), self._name, begin[self._name])

    def swap(self, path: str, begin: Mapping[str, float]) -> dict[str, Any] | None:
        """Was a replaced file whole whenever you read it?"""
        if self._name not in begin:
            return None
        return asdict(folder.swap(Path(path), self._name, begin[self._name]))

    def clean(self, path: str) -> None:
        """Remove the examination's folder."""
        folder.clean(Path(path))


def _in_time(act: Callable[[], _T]) -> _T | str:
    """Do something that may hang in gloo, which heeds no time limit while it connects.

    Args:
        act: What to do.

    Returns:
        What it gave, or why it gave nothing.
    """
    gave: list[_T | str] = [f"no result within {SUM_SECONDS:.0f} s"]

    def try_it() -> None:
        try:
            gave[0] = act()
        except (InputError, RuntimeError) as error:
            gave[0] = str(error).split("\n")[0]

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(SUM_SECONDS)
    return gave[0]


def main() -> None:
    """Answer the questions of the standard input, until it ends."""
    name = os.environ["SLURMD_NODENAME"]
    probe = Probe(name)
    for line in sys.stdin:
        question = json.loads(line)
        answer: Callable[..., object] = getattr(probe, question["ask"])
        for said in answer_lines(name, question["number"], answer(**question["arguments"])):
            sys.stdout.write(f"{said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""The examination of a job's nodes: what is asked, in which order, and what came out."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from combo_lightning.doctor.folder import NOTE_SECONDS, Folder, Swapped
from combo_lightning.doctor.machine import DataSeen, Machine
from combo_lightning.doctor.names import Place, Reached
from combo_lightning.doctor.nodes import Nodes

# Seconds that answers may take: srun and Python start; torch loads from a slow file system; names
# are looked up and ports knocked at; two processes sum; NFS shows a file.
_START, _LOAD, _REACH, _SUM, _FOLDER = 90.0, 300.0, 60.0, 60.0, 200.0
# When races begin: all nodes must have heard of it.
_HEAD_START = 0.5
_CLOCK_READINGS = 3
_MOST_BAD_ROUNDS = 2


@dataclass(frozen=True)
class Speed:
    """How long an all-reduce takes; medians.

    Args:
        small_seconds: Of 4 bytes.
        large_seconds: Of 8 MiB.
    """

    small_seconds: float
    large_seconds: float


@dataclass
class Examination:
    """What nodes have answered, by node.

    Args:
        nodes: All nodes, in the job's order.
        silent: Those that did not answer, and why.
        places: Where they are.
        clocks: How many seconds their clocks are ahead of this process's, and give or take what.
        machines: What they have.
        data: The data set there; empty: none was named.
        reached: What each finds when it looks for each other.
        met: How all met as a run's processes do: port and seconds; an error; empty: not tried.
        whole: Sums over all nodes; None: not tried.
        pairs: Sums of each pair, or why there are none.
        folders: The shared folder there.
        notes: Whose notes each sees in it.
        balls: Seconds until a new file of the first node is seen, one way; None: it is not.
        races: Races for a hard link that each won, or why it makes none.
        swaps: What each saw of the file that all replaced.
    """

    nodes: list[str]
    silent: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    clocks: dict[str, tuple[float, float]] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    data: dict[str, DataSeen] = field(default_factory=dict)
    reached: dict[str, dict[str, Reached]] = field(default_factory=dict)
    met: dict[str, tuple[int, float] | str] = field(default_factory=dict)
    whole: Speed | None = None
    pairs: dict[tuple[str, str], Speed | str] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    balls: dict[str, float | None] = field(default_factory=dict)
    races: dict[str, list[int] | str] = field(default_factory=dict)
    swaps: dict[str, Swapped] = field(default_factory=dict)

    def finds(self, one: str, other: str) -> bool:
        """Tell whether a node finds another by its name, at all doors."""
        doors = self.reached[one][other].doors
        return bool(doors) and all(said == other for said in doors.values())

    def own_addresses(self, name: str) -> dict[str, str]:
        """Give the addresses that no other node has, by interface; bridges of containers go."""
        others = [place for other, place in self.places.items() if other != name]
        taken = {address for place in others for address in place.addresses.values()}
        outer = self.places[name].outer_addresses
        return {i: address for i, address in outer.items() if address not in taken}

    def announces_well(self, name: str) -> bool:
        """Tell whether gloo gives others an address of this node that they can use.

        It gives that of an interface where one is named, else that of the node's own name.
        """
        place = self.places[name]
        if place.gloo_interface:
            return any(i in place.addresses for i in place.gloo_interface.split(","))
        taken = {others[name].address for others in self.reached.values() if name in others}
        return place.own in taken or place.own in place.outer_addresses.values()

    @property
    def shared_by(self) -> list[str]:
        """The most nodes that see each other's notes; of as many, those of the first."""
        seen = self.notes
        groups = [
            [other for other in seen if other in seen[one] and one in seen[other]] for one in seen
        ]
        return max(groups, key=len, default=[])


def examine_nodes(
    names: Sequence[str], command: Sequence[str], step: str, data: Path | None, shared: Path
) -> Examination:
    """Examine the nodes of a job; takes some seconds, and never longer than all patience in sum.

    Args:
        names: The nodes.
        command: What starts `probe` on each.
        step: A name that no other rendezvous of the cluster has.
        data: A data set to read on each; None: none.
        shared: The folder that nodes share.
    """
    found = Examination(list(names))
    with Nodes(names, command) as nodes:
        places = nodes.ask("place", _START)
        found.places = {name: Place(**place) for name, place in places.items()}
        _read_clocks(nodes, found)
        asked = nodes.ask("machine", _LOAD, data=None if data is None else str(data))
        found.machines = {name: Machine(**said["machine"]) for name, said in asked.items()}
        if data is not None:
            found.data = {name: DataSeen(**said["data"]) for name, said in asked.items()}
        _examine_network(nodes, found, step)
        _examine_folder(nodes, found, shared / f".combo-doctor-{uuid4().hex[:8]}")
        found.silent = nodes.silent
    return found


def _read_clocks(nodes: Nodes, found: Examination) -> None:
    """Compare clocks; the quickest of some answers is the surest."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(_CLOCK_READINGS):
        asked = time.time()
        told, came = nodes.ask_timed("clock", _REACH)
        for name, read in told.items():
            half = came[name] / 2
            if name not in best or half < best[name][1]:
                best[name] = (read - asked - half, half)
    found.clocks = best


def _examine_network(nodes: Nodes, found: Examination, step: str) -> None:
    doors = {name: found.places[name].doors for name in nodes.living}
    asked = nodes.ask("reach", _REACH, doors=doors)
    for name, said in asked.items():
        # JSON has no numbers as keys.
        found.reached[name] = {
            other: Reached(
                **one | {"doors": {int(port): who for port, who in one["doors"].items()}}
            )
            for other, one in said.items()
        }
    if len(nodes.living) < 2:
        return
    ways = {
        (a, b)
        for a, others in found.reached.items()
        for b in others
        if found.finds(a, b) and found.announces_well(a) and found.announces_well(b)
    }
    _time_pairs(nodes, found, ways)
    summed = [pair for pair, speed in found.pairs.items() if isinstance(speed, Speed)]
    if 2 * len(summed) == len(nodes.living) * (len(nodes.living) - 1):
        _meet(nodes, found, step)


def _time_pairs(nodes: Nodes, found: Examination, ways: Collection[tuple[str, str]]) -> None:
    """Let each pair of nodes that find each other sum; pairs of a round sum at the same time."""
    stores = nodes.ask("store", _SUM)
    bad_rounds = 0
    for i, pairs in enumerate(rounds(list(stores))):
        able = [(a, b) for a, b in pairs if (a, b) in ways and (b, a) in ways]
        plan = {
            name: (one, stores[one], rank)
            for one, other in able
            for rank, name in enumerate((one, other))
        }
        said = nodes.ask("pair", _SUM, round_name=f"round {i}", pairs=plan)
        for one, other in able:
            if one in said and other in said:
                wrong = [said[name] for name in (one, other) if isinstance(said[name], str)]
                found.pairs[one, other] = wrong[0] if wrong else Speed(*said[other])
        bad_rounds += any(isinstance(found.pairs.get(pair), str) for pair in able)
        if bad_rounds == _MOST_BAD_ROUNDS:
            return  # Each costs its whole patience, and the cause is known by now.


def _meet(nodes: Nodes, found: Examination, step: str) -> None:
    """Let all nodes meet as the processes of a run do, and sum."""
    for name, said in nodes.ask("meet", _SUM, step=step, order=nodes.living).items():
        if isinstance(said, str):
            found.met[name] = said
        else:
            port, seconds, *speed = said
            found.met[name] = (port, seconds)
            found.whole = Speed(*speed)


def _examine_folder(nodes: Nodes, found: Examination, folder: Path) -> None:
    path = str(folder)
    said = nodes.ask("note", _FOLDER, path=path)
    found.folders = {name: Folder(**seen) for name, seen in said.items()}
    able = [name for name, seen in found.folders.items() if not seen.error]
    seen = nodes.ask("notes", NOTE_SECONDS + _REACH, path=path, order=able)
    found.notes = {name: seen[name] for name in able if name in seen}
    order = found.shared_by
    if len(order) > 1:
        for balls in nodes.ask("ball", _FOLDER, path=path, order=order).values():
            found.balls |= balls
        found.races = nodes.ask("race", _SUM, path=path, begin=_start_signal(found, order))
        found.races = {name: found.races[name] for name in order if name in found.races}
        swaps = nodes.ask("swap", _SUM, path=path, begin=_start_signal(found, order))
        found.swaps = {name: Swapped(**swap) for name, swap in swaps.items() if swap}
    nodes.ask("clean", _SUM, path=path)


def _start_signal(found: Examination, names: Sequence[str]) -> dict[str, float]:
    """Give the same moment by the clock of each node."""
    here = time.time() + _HEAD_START
    return {name: here + found.clocks[name][0] for name in names if name in found.clocks}


def rounds(names: Sequence[str]) -> list[list[tuple[str, str]]]:
    """Pair everybody with everybody else once, in rounds in which each has one partner.

    Example:
        >>> rounds(["a", "b", "c"])
        [[('b', 'c')], [('a', 'c')], [('a', 'b')]]
    """
    circle: list[str | None] = [*names, *([None] if len(names) % 2 else [])]
    found = []
    for _ in range(len(circle) - 1):
        halves = zip(circle[: len(circle) // 2], reversed(circle), strict=False)
        pairs = [(a, b) for a, b in halves if a is not None and b is not None]
        found.append([(a, b) if names.index(a) < names.index(b) else (b, a) for a, b in pairs])
        circle = [circle[0], circle[-1], *circle[1:-1]]
    return found

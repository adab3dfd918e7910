"""The doctor's page: what was found, what is broken, what to look at, what to set."""

from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import median
from textwrap import wrap
from typing import TypeVar

from combo_lightning.doctor.examination import Examination, Speed
from combo_lightning.doctor.finding import Finding, by_value
from combo_lightning.doctor.folder import RACES, Folder
from combo_lightning.doctor.machine import DataSeen, Machine
from combo_lightning.doctor.names import Place
from combo_lightning.doctor.settings import Setting

_T = TypeVar("_T")
# A line: topic, nodes, text.
Line = tuple[str, str, str]
# Nodes whose pairs are all shown; of more, the slowest.
_MOST_NODES, _MOST_PAIRS = 6, 5


def examination_lines(found: Examination) -> list[Line]:
    """Write what nodes, or this machine alone, have answered.

    Args:
        found: The answers.
    """
    lines = [
        *_lines("install", found.machines, _install),
        *_lines("processor", found.machines, lambda machine: machine.processor),
        *_lines("precision", found.machines, _precision),
        *_lines("threads", found.machines, _threads),
        *_lines("GPUs", found.machines, lambda machine: ", ".join(machine.gpus) or "none"),
        *_lines("data set", found.data, _data),
        *_lines("address", found.places, _place),
    ]
    if len(found.clocks) > 1:
        clocks = [ahead for ahead, _ in found.clocks.values()]
        sure = max(half for _, half in found.clocks.values())
        apart = (max(clocks) - min(clocks)) * 1000
        lines.append(("clocks", "all", f"{apart:.1f} ms apart, give or take {sure * 1000:.1f} ms"))
    if len(found.reached) > 1:
        lines += [*_name_lines(found), *_sum_lines(found)]
    return [*lines, *_folder_lines(found)]


def _lines(topic: str, things: Mapping[str, _T], write: Callable[[_T], str]) -> list[Line]:
    """Write a line for all nodes, or one for those of whom the same is said."""
    groups = by_value(things, write)
    return [
        ("" if i else topic, _who(names, things), text)
        for i, (text, names) in enumerate(groups.items())
    ]


def _who(names: Sequence[str], of: Collection[str]) -> str:
    return "all" if len(names) == len(of) > 1 else " ".join(names)


def _install(machine: Machine) -> str:
    return (
        f"combo-lightning {machine.package} ({machine.program or 'not on the PATH'}), Python "
        f"{machine.python}, torch {machine.torch}, Lightning {machine.lightning}"
    )


def _precision(machine: Machine) -> str:
    return f"--precision auto is {machine.precision} ({machine.unit or 'no bf16 unit found'})"


def _threads(machine: Machine) -> str:
    return (
        f"a task may use {machine.num_cores} of {machine.all_cores} processors "
        f"({machine.cores}); OMP_NUM_THREADS {machine.threads or 'not set'}"
    )


def _data(seen: DataSeen) -> str:
    if seen.error:
        return "cannot be read"
    return f"fingerprint {seen.fingerprint[:16]}, {seen.megabytes:.1f} MB"


def _place(place: Place) -> str:
    outer = []
    for interface, address in place.outer_addresses.items():
        rate = place.megabits.get(interface)
        speed = f", {rate / 1000:g} Gbit/s" if rate else ""
        outer.append(f"{address} ({interface}{speed})")
    return f"{', '.join(outer) or 'no address'}, host name {place.hostname}"


def _name_lines(found: Examination) -> list[Line]:
    asked = [(one, other) for one in found.reached for other in found.reached[one]]
    good = sum(found.finds(one, other) for one, other in asked)
    said = "each finds each other by name, and connects to the ports of both kinds"
    if good < len(asked):
        said = f"{good} of {len(asked)} ways from node to node work"
    lines = [("names, ports", "all", said)]
    met = [met for met in found.met.values() if not isinstance(met, str)]
    if found.whole is None or len(met) < len(found.reached):
        text = "failed" if found.met else "not tried: it needs all pairs"
        return [*lines, ("rendezvous", "all", text)]
    port, seconds = max(met, key=lambda one: one[1])
    text = f"met on {next(iter(found.met))}, port {port}, after {seconds:.1f} s; a sum of 4 bytes "
    text += f"over all takes {_milliseconds(found.whole.small_seconds)}, of 8 MB "
    return [*lines, ("rendezvous", "all", text + _milliseconds(found.whole.large_seconds))]


def _sum_lines(found: Examination) -> list[Line]:
    speeds: dict[tuple[str, str], Speed] = {
        pair: speed for pair, speed in found.pairs.items() if not isinstance(speed, str)
    }
    if not speeds:
        return [("all-reduce", "pairs", "none was timed")]
    small = median(speed.small_seconds for speed in speeds.values())
    large = median(speed.large_seconds for speed in speeds.values())
    text = f"medians of {len(speeds)}: 4 bytes {_milliseconds(small)}, 8 MB {_bandwidth(large)}"
    slowest = sorted(speeds.items(), key=lambda item: -item[1].large_seconds)
    few = len(found.reached) <= _MOST_NODES
    shown = speeds.items() if few else slowest[:_MOST_PAIRS]
    return [
        ("all-reduce", "pairs", text + ("" if few else "; the slowest:")),
        *(
            (
                "",
                " ".join(pair),
                f"4 bytes {_milliseconds(speed.small_seconds)}, 8 MB "
                f"{_bandwidth(speed.large_seconds)}",
            )
            for pair, speed in sorted(shown)
        ),
    ]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2g} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def _bandwidth(seconds: float) -> str:
    return f"{_milliseconds(seconds)} ({8 * 1.048576 / seconds:,.0f} MB/s)"


def _folder_lines(found: Examination) -> list[Line]:
    def write(folder: Folder) -> str:
        if folder.error:
            return "cannot be written"
        return f"{folder.file_system}, {folder.free_gigabytes:,.0f} GB free"

    lines = _lines("shared folder", found.folders, write)
    together = found.shared_by
    if len(together) < 2:
        return lines
    who = _who(together, found.nodes)
    seconds = [taken for taken in found.balls.values() if taken is not None]
    if seconds:
        text = f"a new file is seen elsewhere after {_milliseconds(median(seconds))}, at most "
        lines.append(("", who, text + _milliseconds(max(seconds))))
    wins = [len(won) for won in found.races.values() if isinstance(won, list)]
    read = sum(swap.read for swap in found.swaps.values())
    torn = sum(swap.torn + swap.missing for swap in found.swaps.values())
    text = f"{RACES} races for a hard link have {sum(wins)} winners ({'+'.join(map(str, wins))}); "
    text += f"of {read} reads of a file that all replace, {torn} are torn"
    return [*lines, ("", who, text)]


def page_text(
    title: str,
    lines: Sequence[Line],
    findings: Sequence[Finding],
    settings: Sequence[Setting],
    width: int,
) -> str:
    """Write the page.

    Args:
        title: What was examined.
        lines: What was found.
        findings: What is not as it should be.
        settings: What to set.
        width: Letters of a line; words that are longer stay whole, so that they can be copied.
    """
    text = [title, _columns(lines, width)]
    broken = [finding.text for finding in findings if finding.broken]
    others = [finding.text for finding in findings if not finding.broken]
    for head, texts in (("broken", broken), ("worth a look", others)):
        if texts:
            rows = [(f"{i}.", text) for i, text in enumerate(texts, 1)]
            text += ["", head, _columns(rows, width)]
    nothing = ("nothing", "mend what is broken" if broken else "what is set is right")
    rows = [(one.what, one.why) for one in settings] or [nothing]
    text += ["", "what to set", _columns(rows, width), ""]
    things = "1 thing is" if len(broken) == 1 else f"{len(broken)} things are"
    return "\n".join([*text, f"{things} broken" if broken else "healthy", ""])


def _columns(rows: Sequence[tuple[str, ...]], width: int) -> str:
    """Lay rows out; the last column is wrapped."""
    if not rows:
        return "nothing was found"
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = []
    for *heads, text in rows:
        head = "".join(f"{word:<{size}}  " for word, size in zip(heads, widths, strict=True))
        lines += wrap(
            text,
            width,
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)

"""``python -m scripts.bench.ltfb_simulation``: tournaments of up to 1,024 groups.

Takes two minutes of a processor. Writes runs/bench/ltfb_simulation.json and
docs/ltfb_simulation.png, and prints tables.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts.bench.ltfb_simulation import studies
from scripts.bench.ltfb_simulation.bands import envelope, world_band
from scripts.bench.ltfb_simulation.picture import draw
from scripts.bench.ltfb_simulation.population import Plan

GROUPS = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
INTERVALS = [10, 20, 50, 100, 200, 500, 1000]
FAILURES = [0.0, 0.001, 0.01, 0.03, 0.1]
TAKEOVERS = ("pairwise", "truncation, 0.25", "evolution, 2")
REAL_GROUPS = [2, 4, 8]
REAL_RUNS = 5
ENDS = ("takeover", "excess")


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in Markdown."""
    lines = [" | ".join(row) for row in (head, ["---"] * len(head), *rows)]
    return "\n".join([f"\n{title}\n", *(f"| {line} |" for line in lines)]) + "\n"


def spread(
    quantiles: Sequence[float], scale: float = 1.0, digits: int = 0, at_most: str = "diverges"
) -> str:
    """Write a median with its 5 and 95 % quantiles.

    Args:
        quantiles: 5 %, 50 %, 95 %.
        scale: What they are multiplied by.
        digits: After the point.
        at_most: What is written in place of what is huge.
    """
    low, middle, high = (
        at_most if value * scale > 1e4 else f"{value * scale:.{digits}f}" for value in quantiles
    )
    return middle if low == high else f"{middle} ({low} to {high})"


def bands(seeds: int) -> dict[int, dict[str, Any]]:
    """Give what real runs are compared with.

    Args:
        seeds: Simulated runs.
    """
    return {
        count: {
            "one run": asdict(envelope(count, 20)),
            f"mean of {REAL_RUNS} runs": asdict(envelope(count, 20, REAL_RUNS, 400)),
            "simulated training, one run": asdict(world_band(Plan(count, mutation=None), seeds)),
        }
        for count in REAL_GROUPS
    }


def measure(groups: Sequence[int], seeds: int, processes: int = 1) -> dict[str, Any]:
    """Do all studies.

    Args:
        groups: Numbers of groups.
        seeds: Runs of each plan.
        processes: How many go on side by side; their number changes no figure.
    """
    work: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "intervals": (studies.intervals, (INTERVALS, seeds)),
        "sizes": (studies.sizes, ([1, *groups], seeds)),
        **{name: (studies.takeover, (name, groups, seeds)) for name in TAKEOVERS},
        "strategies": (studies.strategies, (seeds,)),
        "failures": (studies.failures, (FAILURES, seeds)),
        "bands": (bands, (10 * seeds,)),
    }
    if processes == 1:
        found = {name: function(*given) for name, (function, given) in work.items()}
    else:
        with ProcessPoolExecutor(processes) as pool:
            tasks = {name: pool.submit(f, *given) for name, (f, given) in work.items()}
            found = {name: task.result() for name, task in tasks.items()}
    return found | {"takeover": {name: found.pop(name) for name in TAKEOVERS}}


def tables(figures: dict[str, Any]) -> str:
    """Write the figures as Markdown."""
    by_strategy = figures["takeover"]
    groups = list(by_strategy["pairwise"])
    rows = [
        [name, *(spread(by[n]["takeover"], at_most="later") if n in by else "" for n in groups)]
        for name, by in by_strategy.items()
    ]
    text = table("Rounds until one ancestor is left", ["groups", *map(str, groups)], rows)
    kinds = [(rates, part) for rates in studies.KNOWN for part in (False, True)]
    head = ["", *(f"{rates}{', shares' if part else ''}" for rates, part in kinds)]
    lines = {(x["strategy"], x["rates"], x["partition"]): x for x in figures["strategies"]}
    names = dict.fromkeys(x["strategy"] for x in figures["strategies"])
    rows = [
        [n, *(spread(lines[n, *k]["excess"], 1e3, 1) if (n, *k) in lines else "" for k in kinds)]
        for n in names
    ]
    text += table("Excess MSE, thousandths of the start's: strategies, 16 groups", head, rows)
    return text + _further_tables(figures)


def _further_tables(figures: dict[str, Any]) -> str:
    """Write what is asked of groups, interval, failures and bands."""
    text = ""
    for key, over in (("sizes", "groups"), ("intervals", "interval"), ("failures", "failure")):
        names = dict.fromkeys(x["strategy"] for x in figures[key])
        places = list(dict.fromkeys(x[over] for x in figures[key]))
        rows = [
            [
                f"{name}{note}",
                *(spread(x[kind], 1e3, 1) for x in figures[key] if x["strategy"] == name),
            ]
            for name in names
            for kind, note in (("excess", ""), ("paid", "; a round costs 3 steps"))
            if kind in figures[key][0]
        ]
        text += table(f"Excess MSE, thousandths: {key}", [over, *map(str, places)], rows)
    rows = [
        [x["strategy"], str(x["interval"]), f"{x['rate']:.2f}", f"{x['ancestors'][-1]:.1f}"]
        for x in figures["intervals"]
        if x["strategy"] != "averaging"
    ]
    text += table("Champion's rate at the end", ["", "interval", "rate", "ancestors"], rows)
    rows = [
        [
            x["strategy"],
            f"{x['failure']:.1%}",
            f"{x['present']:.0%}",
            f"{x['ancestors'][9]:.1f}",
            spread(x["takeover"], at_most="later"),
        ]
        for x in figures["failures"]
        if not x["strategy"].startswith("averaging")
    ]
    head = ["", "fail a round", "groups there", "ancestors after 10 rounds", "takeover"]
    text += table("Failures: 64 groups, 40 rounds", head, rows)
    rows = [
        [str(n), kind, *(f"{low:g} to {high:g}" for low, high in band["ancestors"][:8])]
        for n, by in figures["bands"].items()
        for kind, band in by.items()
    ]
    text += table("Ancestors, 90 %", ["groups", "", *map(str, range(1, 9))], rows)
    rows = [
        [str(n), kind, *(" to ".join(f"{x:.3g}" for x in band[k] or ()) for k in ENDS)]
        for n, by in figures["bands"].items()
        for kind, band in by.items()
    ]
    return text + table("Takeover and excess, 90 %", ["groups", "", *ENDS], rows)


def main() -> int:
    """Simulate, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.ltfb_simulation")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/ltfb_simulation.json"))
    parser.add_argument("--picture", type=Path, default=Path("docs/ltfb_simulation.png"))
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--groups", type=int, nargs="+", default=GROUPS)
    arguments = parser.parse_args()
    start = time.perf_counter()
    figures = measure(arguments.groups, arguments.seeds, arguments.processes)
    figures["seconds"] = time.perf_counter() - start
    figures["date"] = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    sys.stdout.write(tables(figures))
    draw(figures, arguments.picture)
    sys.stdout.write(f"\n{figures['seconds']:.0f} s; wrote {arguments.out}, {arguments.picture}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m scripts.bench.scaling``: measure, fit, predict held-out settings, draw.

Writes runs/bench/scaling.json and docs/scaling.png. Worlds of 1, 2 and 4 processes stand side by
side and take turns, five times; behind slowed links where this can be done.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from scripts.bench import machine
from scripts.bench.scaling.cost_model import TERMS, CostModel, Setting
from scripts.bench.scaling.picture import draw
from scripts.bench.scaling.world import HERE, Link, World, can_slow

KINDS = (("per_sample", False), ("per_entity", True))
# Latency and bandwidth that the switch between network namespaces holds.
SLOWED = (Link("1 ms, 1 Gbit/s", 1.0, 1000), Link("5 ms, 1 Gbit/s", 5.0, 1000))
SLOWED_HELD_OUT = (Link("3 ms, 1 Gbit/s", 3.0, 1000), Link("4 ms, 0.6 Gbit/s", 4.0, 600))
# Worlds as (ranks, threads of each), with the global batches that are fitted and held out.
HERE_FITTED = {
    (1, 1): (256, 4096),
    (2, 1): (256, 4096, 8192),
    (4, 1): (256, 4096),
    (1, 2): (512, 4096),
}
HERE_HELD_OUT = {
    (1, 1): (768, 2048),
    (2, 1): (768, 2048),
    (4, 1): (768, 2048, 16384),
    (1, 2): (2048, 8192),
}
SECONDS_A_TURN = 1.0

Named = list[tuple[str, Setting]]


def plan(cores: int) -> tuple[Named, Named]:
    """Name what is fitted, and what is held out, before anything is measured.

    Args:
        cores: Of this host.

    Returns:
        (world, setting) to fit, and to predict.
    """

    def settings(here: dict[tuple[int, int], tuple[int, ...]], links: tuple[Link, ...]) -> Named:
        named: Named = []
        for mode, bf16 in KINDS:
            for (ranks, threads), batches in here.items():
                for batch in batches:
                    setting = Setting(mode, bf16, batch, ranks, threads, cores, ranks)
                    named.append((f"{ranks} x {threads}", setting))
            for link in links:
                slow = (link.delay_ms / 1e3, link.rate_mbit * 125e3)
                for batch in (256, 4096):
                    named.append((link.name, Setting(mode, bf16, batch, 2, 1, cores, 2, *slow)))
        return named

    return settings(HERE_FITTED, SLOWED), settings(HERE_HELD_OUT, SLOWED_HELD_OUT)


def measure(data: Path, wanted: list[tuple[str, Setting]], repeats: int) -> list[dict[str, Any]]:
    """Measure settings in turn, `repeats` times."""
    names = dict.fromkeys(name for name, _ in wanted)
    worlds: dict[str, World] = {}
    for name in names:
        slowed = (*SLOWED, *SLOWED_HELD_OUT)
        link = next((link for link in slowed if link.name == name), HERE)
        if link is HERE:
            ranks, _, threads = name.partition(" x ")
            worlds[name] = World(data, int(ranks), int(threads))
        else:
            worlds[name] = World(data, 2, 1, link)
    found: list[list[dict[str, float]]] = [[] for _ in wanted]
    steps = [2] * len(wanted)
    # The first turn warms up and tells how many steps fill a turn.
    for turn in range(repeats + 1):
        for i, (name, setting) in enumerate(wanted):
            order = {"mode": setting.mode, "bf16": setting.bf16, "batch": setting.batch}
            told = worlds[name].run({**order, "steps": steps[i]})
            steps[i] = max(2, min(40, round(SECONDS_A_TURN / told["step"])))
            if turn:
                found[i].append(told)
    for world in worlds.values():
        world.end()
    lines = []
    for (name, setting), turns in zip(wanted, found, strict=True):
        step = median(t["step"] for t in turns)
        lines.append(
            {
                "world": name,
                "name": setting.name,
                "step": step,
                "least": min(t["step"] for t in turns),
                "most": max(t["step"] for t in turns),
                "messages": median(t["messages"] for t in turns),
                "rest": median(t["rest"] for t in turns),
                "rows_per_second": setting.batch / step,
            }
        )
    return lines


def table(title: str, lines: list[dict[str, Any]]) -> str:
    """Lay lines out in Markdown."""
    rows = [
        f"| {x['world']} | {x['name']} | {1e3 * x['step']:.1f} ({1e3 * x['least']:.1f} to "
        f"{1e3 * x['most']:.1f}) | {1e3 * (x['step'] - x['messages'] - x['rest']):.1f} | "
        f"{1e3 * x['messages']:.1f} | {1e3 * x['rest']:.1f} | {x['rows_per_second']:,.0f} | "
        f"{1e3 * x['predicted']:.1f} | {x['error']:+.0%} |"
        for x in lines
    ]
    head = "| world | setting | ms a step (range) | compute | messages | rest | rows/s | model | |"
    return "\n".join([f"\n{title}", head, "|" + "---|" * 9, *rows])


def main() -> int:
    """Measure, fit, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.scaling", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("runs/bench/poster"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench/scaling.json"))
    parser.add_argument("--picture", type=Path, default=Path("docs/scaling.png"))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    fitted, held_out = plan(os.cpu_count() or 1)
    if not can_slow():
        sys.stderr.write("links cannot be slowed here: those lines are left out\n")
        fitted, held_out = ([x for x in part if " ms" not in x[0]] for part in (fitted, held_out))
    named = {"fitted": [s.name for _, s in fitted], "held_out": [s.name for _, s in held_out]}
    wanted = [*fitted, *held_out]
    # Worlds behind links stand up after those of this host: all at once would fill its memory.
    slowed = [bool(setting.link_bytes) for _, setting in wanted]
    found: dict[int, dict[str, Any]] = {}
    for phase in (False, True):
        mine = [i for i, slow in enumerate(slowed) if slow == phase]
        measured = measure(arguments.data, [wanted[i] for i in mine], arguments.repeats)
        found |= dict(zip(mine, measured, strict=True))
    lines = [found[i] for i in range(len(wanted))]
    model = CostModel.fit([s for _, s in fitted], [x["step"] for x in lines[: len(fitted)]])
    for (_, setting), line in zip([*fitted, *held_out], lines, strict=True):
        line["predicted"] = model.predict(setting)
        line["error"] = line["predicted"] / line["step"] - 1
    figures = {
        "machine": machine.describe(),
        "gemm_gflops": {
            str(kind): machine.gemm_rate(kind) / 1e9 for kind in (torch.float32, torch.bfloat16)
        },
        "named_before": named,
        "costs": dict(zip(TERMS, model.costs, strict=True)),
        "fitted": lines[: len(fitted)],
        "held_out": lines[len(fitted) :],
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    sys.stdout.write(table("Fitted", lines[: len(fitted)]))
    sys.stdout.write(table("Held out", lines[len(fitted) :]) + "\n")
    errors = [abs(x["error"]) for x in lines[len(fitted) :]]
    sys.stdout.write(f"held out: median error {median(errors):.0%}, largest {max(errors):.0%}\n")
    draw(lines, [s for _, s in [*fitted, *held_out]], arguments.picture)
    sys.stdout.write(f"wrote {arguments.out} and {arguments.picture}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

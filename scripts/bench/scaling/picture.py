"""The picture of the scaling study: measured here, and modelled to 1,024 ranks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.bench.scaling.cost_model import MACHINES, NETWORKS, Setting

RANKS = [2**i for i in range(11)]


def speedup(
    name: str, network: str, batch: int, ranks: Sequence[int], *, weak: bool = False
) -> list[float]:
    """Give rows a second of many ranks over those of one, by the model.

    Args:
        name: Of a machine in `MACHINES`.
        network: Of a network in `NETWORKS`.
        batch: Rows of a step of all ranks; `weak`: of each.
        ranks: How many.
        weak: Whether the batch grows with the ranks.
    """
    machine = next(m for m in MACHINES if m.name == name)
    delay, rate = NETWORKS[network]
    one = Setting("per_entity", bf16=True, batch=batch, ranks=1, cores=0)
    found = []
    for count in ranks:
        size = batch * count if weak else batch
        many = replace(one, batch=size, ranks=count, delay_seconds=delay, link_bytes=rate)
        gain = machine.seconds(one) / machine.seconds(many)
        found.append(gain * size / batch)
    return found


def draw(lines: Sequence[dict[str, Any]], settings: Sequence[Setting], path: Path) -> None:
    """Draw measured strong scaling beside the model's, and the model at large."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(13, 4), constrained_layout=True)
    here = [
        (s, x) for s, x in zip(settings, lines, strict=True) if s.threads == 1 and not s.link_bytes
    ]
    for mode, bf16, colour in (("per_sample", False, "C0"), ("per_entity", True, "C1")):
        for batch, style in ((256, "o-"), (4096, "s--")):
            mine = sorted(
                (s.ranks, x["step"], x["predicted"])
                for s, x in here
                if (s.mode, s.bf16, s.batch) == (mode, bf16, batch)
            )
            ranks = [m[0] for m in mine]
            label = f"{mode} {'bf16' if bf16 else 'fp32'}, {batch:,}"
            axes[0].plot(ranks, [mine[0][1] / m[1] for m in mine], style, c=colour, label=label)
            axes[0].plot(ranks, [mine[0][2] / m[2] for m in mine], ":", c=colour)
    axes[0].set(title="measured (dotted: model), 1 thread a rank, 2 cores", ylabel="speed-up")
    for axis, batch in ((axes[1], 256), (axes[2], 4096)):
        for machine, style in zip(MACHINES, ("-", "--"), strict=True):
            for i, network in enumerate(NETWORKS):
                shown = network if machine is MACHINES[0] else None
                gain = speedup(machine.name, network, batch, RANKS)
                axis.plot(RANKS, gain, style, c=f"C{i}", label=shown)
        axis.set(title=f"model, batch {batch:,}, bf16 per_entity", yscale="log")
    axes[2].plot([], [], "k-", label=MACHINES[0].name)
    axes[2].plot([], [], "k--", label=MACHINES[1].name)
    for axis in axes:
        axis.set(xscale="log", xlabel="ranks")
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=90)
    plt.close(figure)

"""The picture of the scaling study: measured here, and modelled to 1,024 ranks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.bench.scaling.cost_model import MACHINES, NETWORKS, WEIGHTS, Setting

RANKS = [2**i for i in range(11)]


def speedup(
    name: str, network: str, one: Setting, ranks: Sequence[int], *, weak: bool = False
) -> list[float]:
    """Give rows a second of many ranks over those of one, by the model.

    Args:
        name: Of a machine in `MACHINES`.
        network: Of a network in `NETWORKS`.
        one: A step of one rank.
        ranks: How many.
        weak: Whether the batch grows with the ranks.
    """
    machine = next(m for m in MACHINES if m.name == name)
    delay, rate = NETWORKS[network]
    found = []
    for count in ranks:
        size = one.batch * (count if weak else 1)
        many = replace(one, batch=size, ranks=count, delay_seconds=delay, link_bytes=rate)
        found.append(machine.seconds(one) / machine.seconds(many) * size / one.batch)
    return found


def side_by_side(
    name: str, network: str, one: Setting, ranks: Sequence[int], interval: int = 100
) -> list[float]:
    """Give rows a second of models of a rank each that exchange their state, over those of one.

    Args:
        name: Of a machine in `MACHINES`.
        network: Of a network in `NETWORKS`.
        one: A step of one rank.
        ranks: How many models.
        interval: Steps between two exchanges of weights and two moments in fp32, each followed by
            an evaluation, counted as one training step.
    """
    machine = next(m for m in MACHINES if m.name == name)
    delay, rate = NETWORKS[network]
    step = machine.seconds(one)
    exchange = delay + 3 * 4 * WEIGHTS / rate + step
    return [n if n == 1 else n * interval * step / (interval * step + exchange) for n in ranks]


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
    step = Setting("per_entity", bf16=True, batch=256, ranks=1, cores=0)
    for machine, style in zip(MACHINES, ("-", "--"), strict=True):
        for i, network in enumerate(NETWORKS):
            gain = speedup(machine.name, network, step, RANKS)
            axes[1].plot(RANKS, gain, style, c=f"C{i}", label=f"{machine.name[:4]}, {network}")
    axes[1].set(title="model: one model, batch 256, bf16 per_entity", yscale="log")
    where = (MACHINES[1].name, "InfiniBand NDR")
    published = replace(step, mode="per_sample", bf16=False)
    for label, gain in {
        "batch 256": speedup(*where, step, RANKS),
        "batch 4,096": speedup(*where, replace(step, batch=4096), RANKS),
        "per_sample fp32, 4,096": speedup(*where, replace(published, batch=4096), RANKS),
        "per_sample fp32, 65,536": speedup(*where, replace(published, batch=65536), RANKS),
        "batch grows, 4,096 a rank": speedup(*where, replace(step, batch=4096), RANKS, weak=True),
        "a model a rank, tournament each 100 steps": side_by_side(*where, step, RANKS),
    }.items():
        axes[2].plot(RANKS, gain, label=label)
    axes[2].set(title="model: what helps (H100, InfiniBand NDR)", yscale="log")
    for axis in axes:
        axis.set(xscale="log", xlabel="ranks")
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=90)
    plt.close(figure)

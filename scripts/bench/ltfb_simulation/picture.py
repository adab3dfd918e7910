"""The picture of the simulated tournaments."""

from pathlib import Path
from typing import Any

import numpy as np


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw takeover, diversity, the interval, and the number of groups."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(16, 4), constrained_layout=True)
    for i, (name, by_size) in enumerate(figures["takeover"].items()):
        groups = [int(n) for n in by_size]
        low, middle, high = np.array([line["takeover"] for line in by_size.values()]).T
        axes[0].plot(groups, middle, "o-", c=f"C{i}", label=name)
        axes[0].fill_between(groups, low, high, color=f"C{i}", alpha=0.2)
        curve = by_size[groups[-1]]["ancestors"] if groups[-1] in by_size else None
        if curve is not None:
            label = f"{name}, {groups[-1]:,} groups"
            axes[1].plot(range(len(curve) + 1), [groups[-1], *curve], label=label)
    groups = [n for n in figures["takeover"]["pairwise"] if n > 1]
    axes[0].plot(groups, np.log2(groups), "k:", label="log2 of the groups")
    axes[0].set(
        xscale="log",
        yscale="log",
        xlabel="groups",
        ylabel="rounds",
        title="rounds until one ancestor is left",
    )
    axes[1].set(yscale="log", xlim=(0, 60), xlabel="round", title="distinct ancestors (mean)")
    for key, axis, over, title in (
        ("intervals", axes[2], "interval", "16 groups; dotted: a round costs 3 steps"),
        ("sizes", axes[3], "groups", "2,000 steps a group"),
    ):
        names = dict.fromkeys(line["strategy"] for line in figures[key])
        for i, name in enumerate(names):
            mine = [line for line in figures[key] if line["strategy"] == name]
            places = [line[over] for line in mine]
            axis.plot(places, [x["excess"][1] for x in mine], "o-", c=f"C{i}", label=name, ms=3)
            if "paid" in mine[0]:
                axis.plot(places, [x["paid"][1] for x in mine], ":", c=f"C{i}")
        axis.set(xscale="log", yscale="log", xlabel=over, title=title)
        axis.set_ylabel("excess MSE over the start's (median)")
    for axis in axes:
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=90)
    plt.close(figure)

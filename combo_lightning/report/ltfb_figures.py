"""Pictures of tournaments: where models came from, and how they scored."""

import itertools
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from combo_lightning.ltfb.lineage import (
    AVERAGED,
    ancestries,
    last_records,
    path_back,
    round_numbers,
)
from combo_lightning.ltfb.plan import Run
from combo_lightning.ltfb.record import Rounds

_HIGHLIGHT = "black"
# A scale that spans more than this is drawn as a logarithm.
_WIDE = 30.0
# More groups than this and their numbers would overlap, and a legend hide the picture.
_NAMED = 16

Segment = tuple[tuple[float, float], tuple[float, float]]


def draw_lineage(run: Run, champion: int | None, path: Path) -> None:
    """Draw groups as lines over rounds, in the colour of the first model that they come from.

    Arrows are models that travelled; the champion's path is highlighted; a group ends with a
    cross where its record does before the others'.

    Args:
        run: The run.
        champion: The group whose path is highlighted; None: none is.
        path: The PNG to write, aside and then renamed.
    """
    groups, numbers = run.plan.num_groups, round_numbers(run.rounds)
    width = min(16.0, max(9.0, 3.0 + 0.2 * len(numbers)))
    figure = _figure(width=width, height=min(14.0, 2.2 + 0.35 * groups))
    axes = figure.add_subplot()
    first = numbers[0] - 1 if numbers else 0
    places = [first, *numbers]
    _draw_groups(axes, run, places)
    _draw_arrows(axes, run.rounds, places)
    if champion is not None and numbers:
        _draw_path(axes, path_back(run.rounds, champion), first)
    axes.set(ylim=(groups - 0.5, -0.5), xlim=(first - 0.3, places[-1] + 0.3))
    axes.set_xlabel("round", fontsize=9)
    axes.set_ylabel("trainer group", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=_NAMED))
    named = "champion's path" if run.champion is not None else "path of the best so far"
    handles = [Line2D([], [], color="0.35", marker=">", linestyle="-", label="model adopted")]
    if champion is not None and numbers:
        handles.append(Line2D([], [], color=_HIGHLIGHT, linewidth=3, label=named))
    failed = [(r.round, r.group) for r in run.rounds.values() if r.failed]
    if failed:
        axes.plot(*zip(*failed, strict=True), "o", color="tab:red", fillstyle="none", zorder=5)
        handles.append(
            Line2D([], [], color="tab:red", marker="o", fillstyle="none", linestyle="",
                   label="exchange failed")
        )  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    _save(figure, path)


def _draw_groups(axes: Axes, run: Run, places: list[int]) -> None:
    groups, last = run.plan.num_groups, last_records(run.rounds)
    of_round = ancestries(run.rounds, groups)
    colours = _colours(groups)
    segments: list[Segment] = []
    segment_colours = []
    for before, here in itertools.pairwise(places):
        for group in range(groups):
            if group in last and here <= last[group].round:
                entered = of_round.get(before, {}).get(group, {group: 1.0})
                ancestor = max(entered, key=lambda a: (entered[a], -a))
                segments.append(((before, group), (here, group)))
                segment_colours.append(colours[ancestor])
    axes.add_collection(LineCollection(segments, colors=segment_colours, linewidths=2.0))
    ended = [(r.round, g) for g, r in last.items() if r.round < places[-1]]
    ended += [(places[0], g) for g in range(groups) if g not in last]
    if ended:
        axes.plot(*zip(*ended, strict=True), "x", color="tab:red", markersize=7, zorder=5)


def _draw_arrows(axes: Axes, rounds: Rounds, places: list[int]) -> None:
    before = dict(zip(places[1:], places, strict=False))
    arrows = []
    for (number, group), record in rounds.items():
        sources = set(record.met) if record.reason == AVERAGED else set()
        sources |= {record.source} if record.adopted else set()
        arrows += [(number, group, source) for source in sources - {group}]
    if not arrows:
        return
    # They start shortly before the round, so that their direction shows.
    x = np.array([number - 0.35 * (number - before[number]) for number, _, _ in arrows])
    to_x, y, from_y = (np.array(column, dtype=float) for column in zip(*arrows, strict=True))
    # Many arrows would hide what is below them.
    opacity = min(1.0, max(0.15, 150 / len(arrows)))
    axes.quiver(
        x, from_y, to_x - x, y - from_y, angles="xy", scale_units="xy", scale=1.0,
        color="0.35", width=0.0018, headwidth=6, headlength=7, alpha=opacity, zorder=4,
    )  # fmt: skip


def _draw_path(axes: Axes, path: Mapping[int, int], first: int) -> None:
    corners: list[tuple[float, float]] = []
    previous = path[-1]
    before = float(first)
    for number, group in path.items():
        at = float(first if number == -1 else number)
        if group != previous:
            corners.append((at - 0.35 * (at - before), previous))
        corners.append((at, group))
        previous, before = group, at
    x, y = zip(*corners, strict=True)
    axes.plot(x, y, color=_HIGHLIGHT, linewidth=4.0, alpha=0.6, zorder=4.5, solid_capstyle="round")


def draw_scores(run: Run, path: Path) -> None:
    """Draw each group's tournament score over rounds, and the best so far; one panel a metric.

    Args:
        run: The run.
        path: The PNG to write, aside and then renamed.
    """
    metrics = run.plan.metrics or ("score",)
    figure = _figure(width=8.0, height=0.8 + 3.0 * len(metrics))
    panels = figure.subplots(len(metrics), 1, sharex=True, squeeze=False)[:, 0]
    for axes, metric in zip(panels, metrics, strict=True):
        _draw_metric(axes, run, metric)
    panels[-1].set_xlabel("round", fontsize=9)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    _save(figure, path)


def _draw_metric(axes: Axes, run: Run, metric: str) -> None:
    groups, colours = run.plan.num_groups, _colours(run.plan.num_groups)
    all_values: list[float] = []
    best: dict[int, float] = {}
    better = min if run.plan.lower_is_better else max
    lost = 0
    for group in range(groups):
        points = [
            (number, record.scores[group].get(metric, math.nan))
            for (number, of_group), record in run.rounds.items()
            if of_group == group and group in record.scores
        ]
        finite = [(number, value) for number, value in points if math.isfinite(value)]
        lost += len(points) - len(finite)
        for number, value in finite:
            best[number] = better(best.get(number, value), value)
        if finite:
            x, y = zip(*finite, strict=True)
            label = f"group {group}" if groups <= _NAMED else None
            axes.plot(x, y, color=colours[group], linewidth=1.0, marker=".", markersize=3,
                      label=label)  # fmt: skip
            all_values += y
    if not all_values:
        axes.text(0.5, 0.5, f"no {metric} in the record", ha="center", transform=axes.transAxes)
        return
    numbers = sorted(best)
    values = np.array([best[number] for number in numbers])
    running = (np.minimum if run.plan.lower_is_better else np.maximum).accumulate(values)
    axes.step(numbers, running, where="post", color=_HIGHLIGHT, linewidth=1.8, alpha=0.7,
              label="best so far")  # fmt: skip
    if min(all_values) > 0 and max(all_values) > _WIDE * min(all_values):
        axes.set_yscale("log")
    axes.set_ylabel(f"tournament {metric}", fontsize=9)
    if lost:
        axes.set_title(f"{lost} scores are not finite and not drawn", fontsize=8, loc="right")
    axes.legend(fontsize=7, ncols=2, loc="best")


def _colours(groups: int) -> list[tuple[float, float, float, float]]:
    if groups <= 10:
        return [colormaps["tab10"](group) for group in range(groups)]
    return [colormaps["turbo"](group / (groups - 1)) for group in range(groups)]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    figure.savefig(aside, format="png")
    os.replace(aside, path)

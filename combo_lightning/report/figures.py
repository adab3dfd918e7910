"""Pictures of results."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from combo_lightning.evaluation.scores import score

Floats = npt.NDArray[np.floating[Any]]
# What lies outside the middle 99.8 % would squeeze the rest into a blot; the title counts it.
_SHOWN = (0.1, 99.9)


def hexbin(prediction_N: Floats, response_N: Floats, unit: str, path: Path) -> None:
    """Draw predicted against measured responses, as hexagonal bins on a logarithmic colour scale.

    Args:
        prediction_N: Predictions.
        response_N: Measurements.
        unit: Their unit.
        path: The PNG to write, aside and then renamed.
    """
    both = np.concatenate([prediction_N, response_N])
    low, high = np.percentile(both, _SHOWN)
    if low == high:
        low, high = low - 1, high + 1
    figure = Figure(figsize=(5.6, 5.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bins = axes.hexbin(
        response_N,
        prediction_N,
        gridsize=60,
        extent=(low, high, low, high),
        bins="log",
        mincnt=1,
        cmap="viridis",
        linewidths=0.1,
    )
    axes.plot([low, high], [low, high], color="0.3", linewidth=0.8, linestyle="--")
    axes.set(
        xlim=(low, high),
        ylim=(low, high),
        aspect="equal",
        xlabel=f"measured ({unit})",
        ylabel=f"predicted ({unit})",
    )
    outside = int(((response_N < low) | (response_N > high)).sum())
    scores = score(prediction_N, response_N)
    title = f"{len(response_N):,} test rows, R² = {scores.r2:.3f}, r = {scores.pearson:.3f}"
    axes.set_title(title + (f" ({outside} rows outside)" if outside else ""), fontsize=9)
    figure.colorbar(bins, ax=axes, label="rows", shrink=0.85)
    aside = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(aside, format="png")
    os.replace(aside, path)

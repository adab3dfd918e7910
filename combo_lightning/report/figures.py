"""Pictures of results."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from combo_lightning.evaluation.scores import score

Floats = npt.NDArray[np.floating[Any]]
# What lies outside the middle 99.8 % would squeeze the rest into a blot; the title counts it.
_SHOWN = (0.1, 99.9)


def hexbin(
    prediction_N: Floats,
    response_N: Floats,
    unit: str,
    path: Path,
    *,
    weight_N: Floats | None = None,
) -> None:
    """Draw predicted against measured responses, as hexagonal bins on a logarithmic colour scale.

    Args:
        prediction_N: Predictions; those that are not finite are counted as outside.
        response_N: Measurements.
        unit: Their unit.
        path: The PNG to write, aside and then renamed.
        weight_N: Weights of the rows in the title's scores; None: all 1. The bins count rows.
    """
    finite = np.isfinite(prediction_N)
    measured, predicted = response_N[finite], prediction_N[finite]
    low, high = _range(np.concatenate([predicted, measured]))
    inside = (measured >= low) & (measured <= high) & (predicted >= low) & (predicted <= high)
    figure = Figure(figsize=(6.0, 5.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bins = axes.hexbin(
        measured[inside],
        predicted[inside],
        gridsize=60,
        extent=(low, high, low, high),
        norm=LogNorm(vmin=1),
        mincnt=1,
        cmap="viridis",
        linewidths=0.1,
    )
    # One bin of one row, or none: a logarithmic scale needs two ends.
    bins.set_clim(1, max([10.0, *np.asarray(bins.get_array())]))
    axes.plot([low, high], [low, high], color="tab:red", linewidth=1.0, linestyle="--")
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xlabel(f"measured: {unit}", fontsize=9)
    axes.set_ylabel(f"predicted: {unit}", fontsize=9)
    scores = score(prediction_N, response_N, weight_N)
    outside = len(response_N) - int(inside.sum())
    title = f"{scores.rows:,} test rows, R² = {scores.r2:.3f}, r = {scores.pearson:.3f}"
    axes.set_title(title + (f" ({outside:,} outside)" if outside else ""), fontsize=9)
    figure.colorbar(bins, ax=axes, label="rows", shrink=0.8, pad=0.02)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    figure.savefig(aside, format="png")
    os.replace(aside, path)


def _range(values: Floats) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = (float(end) for end in np.percentile(values, _SHOWN))
    return (low, high) if low < high else (low - 1, high + 1)

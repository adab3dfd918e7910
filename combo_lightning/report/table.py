"""Results as tables for the terminal."""

import math
from collections.abc import Mapping

import pandas as pd
from rich.table import Table

from combo_lightning.evaluation.comparison import METRICS, Comparison
from combo_lightning.evaluation.scores import Scores


def _figure(value: float, metric: str) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.1f}" if metric in ("rmse", "mae") and abs(value) >= 10 else f"{value:.3f}"


def comparison_table(comparison: Comparison) -> Table:
    """Lay the model's scores beside the baselines'."""
    rows = f"{comparison.model.rows:,} test rows; errors in {comparison.unit}"
    table = Table(title="Test", caption=rows, title_justify="left", caption_justify="left")
    table.add_column("")
    for metric in METRICS:
        table.add_column(metric.upper() if metric != "pearson" else "Pearson", justify="right")
    _add(table, comparison.models, bold=True)
    table.add_section()
    _add(table, comparison.baselines, bold=False)
    return table


def _add(table: Table, named: Mapping[str, Scores], *, bold: bool) -> None:
    for name, scores in named.items():
        figures = [_figure(getattr(scores, metric), metric) for metric in METRICS]
        table.add_row(name, *figures, style="bold" if bold else None)


def unseen_table(comparison: Comparison) -> Table | None:
    """Lay out the scores by how many of a row's drugs training never saw; None: all the same."""
    if comparison.by_unseen.empty:
        return None
    table = Table(title="By drugs that training never saw", title_justify="left")
    for name in ("", "", "rows", "R2", "Pearson"):
        table.add_column(name, justify="left" if not name else "right")
    for _, row in comparison.by_unseen.iterrows():
        table.add_row(
            row["name"],
            row["predictor"],
            f"{row['rows']:,}",
            _figure(row["r2"], "r2"),
            _figure(row["pearson"], "pearson"),
        )
    return table


def folds_table(summary: pd.DataFrame) -> Table:
    """Lay out mean and spread over folds."""
    table = Table(title="Folds: mean ± standard deviation", title_justify="left")
    table.add_column("")
    table.add_column("folds", justify="right")
    for metric in METRICS:
        table.add_column(metric.upper() if metric != "pearson" else "Pearson", justify="right")
    for _, row in summary.iterrows():
        figures = [
            f"{_figure(row[metric], metric)} ± {_figure(row[f'{metric}_sd'], metric)}"
            for metric in METRICS
        ]
        table.add_row(str(row["name"]), str(row["folds"]), *figures)
    return table

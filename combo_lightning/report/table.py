"""Results as tables for the terminal."""

import math
from collections.abc import Mapping

import pandas as pd
from rich import box
from rich.table import Table

from combo_lightning.evaluation.comparison import METRICS, Comparison
from combo_lightning.evaluation.scores import Scores

TITLES = {"r2": "R2", "pearson": "Pearson", "spearman": "Spearman", "rmse": "RMSE", "mae": "MAE"}


def _figure(value: float, metric: str, *, beside: float | None = None) -> str:
    """Write a score; an error of 10 or more (or `beside` one, as its spread) with one decimal."""
    if math.isnan(value):
        return "-"
    large = metric in ("rmse", "mae") and abs(value if beside is None else beside) >= 10
    return f"{value:.1f}" if large else f"{value:.3f}"


def comparison_table(comparison: Comparison) -> Table:
    """Lay the model's scores beside the baselines'."""
    rows = f"{comparison.model.rows:,} test rows; errors in {comparison.unit}"
    table = Table(title="Test", caption=rows, title_justify="left", caption_justify="left")
    table.add_column("")
    for metric in METRICS:
        table.add_column(TITLES[metric], justify="right", no_wrap=True)
    _add(table, comparison.models, bold=True)
    alone = comparison.mean_member
    if alone is not None:
        _add(table, {f"a member alone (mean of {len(comparison.members)})": alone}, bold=False)
    table.add_section()
    _add(table, comparison.baselines, bold=False)
    return table


def _add(table: Table, named: Mapping[str, Scores], *, bold: bool) -> None:
    for name, scores in named.items():
        figures = [_figure(getattr(scores, metric), metric) for metric in METRICS]
        table.add_row(name, *figures, style="bold" if bold else None)


def part_tables(comparison: Comparison) -> list[Table]:
    """Lay out the scores by how many of a row's drugs training never saw, and by other studies.

    Each part shows the models and the baseline that is best there.

    Returns:
        No table of what is the same for all rows.
    """
    parts = {
        "By drugs that training never saw": comparison.by_unseen,
        "By what other studies measured": comparison.by_measured,
    }
    return [_part_table(title, frame, comparison) for title, frame in parts.items() if len(frame)]


def _part_table(title: str, scores: pd.DataFrame, comparison: Comparison) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("", "", "rows", *(TITLES[metric] for metric in METRICS)):
        table.add_column(name, justify="right" if name else "left", no_wrap=bool(name))
    for part, frame in scores.groupby("name"):
        naive = frame[frame["predictor"].isin(list(comparison.baselines))]
        best = naive.nsmallest(1, "mse")
        models = frame[frame["predictor"].isin(list(comparison.models))]
        for _, row in pd.concat([models, best]).iterrows():
            figures = [_figure(row[metric], metric) for metric in METRICS]
            table.add_row(str(part), row["predictor"], f"{row['rows']:,}", *figures)
        table.add_section()
    return table


def folds_table(summary: pd.DataFrame) -> Table:
    """Lay out mean and spread over folds.

    Args:
        summary: What `evaluation.comparison.summarise_folds` gave.
    """
    folds = "/".join(str(count) for count in sorted(set(summary["folds"])))
    table = Table(
        title=f"{folds} folds: mean ± standard deviation",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("")
    for metric in METRICS:
        table.add_column(TITLES[metric], justify="right", no_wrap=True)
    for _, row in summary.iterrows():
        table.add_row(str(row["name"]), *(_mean_and_spread(row, metric) for metric in METRICS))
    return table


def _mean_and_spread(row: pd.Series, metric: str) -> str:
    mean, spread = row[metric], row[f"{metric}_sd"]
    if math.isnan(mean) or math.isnan(spread):
        return _figure(mean, metric)
    return f"{_figure(mean, metric)} ±{_figure(spread, metric, beside=mean)}"

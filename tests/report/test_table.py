import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from combo_lightning.evaluation.comparison import Comparison, compare, summarise_folds
from combo_lightning.report.table import comparison_table, folds_table, part_tables
from tests.evaluation.screens import additive_screen, drawn_split, split_of


def shown(table: Table, width: int = 100) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get().splitlines()


def compared(*, parts: bool = False) -> Comparison:
    screen, truth_N = additive_screen()
    split = drawn_split(len(truth_N))
    if parts:
        split = split_of(split.part_N, 1 + np.arange(len(truth_N)) % 2)
    return compare(screen, split, {"model": truth_N[split.test_rows] + 1.0})


def line_of(name: str, lines: list[str]) -> str:
    return next(line for line in lines if name in line)


def test_the_table_holds_every_row_and_figure() -> None:
    comparison = compared()
    lines = shown(comparison_table(comparison))
    for name, scores in {**comparison.models, **comparison.baselines}.items():
        line = line_of(f" {name} ", lines)
        assert f"{scores.r2:.3f}" in line
        assert f"{scores.rmse:.3f}" in line or f"{scores.rmse:.1f}" in line
    assert f"{comparison.model.rows} test rows" in "".join(lines)
    assert comparison.unit in "".join(lines)


def test_an_ensembles_members_have_a_line_below_it() -> None:
    screen, truth_N = additive_screen()
    split = drawn_split(len(truth_N))
    truth_N = truth_N[split.test_rows]
    members = {"a": truth_N + 2.0, "b": truth_N}
    comparison = compare(screen, split, {"model": truth_N + 1.0}, members)
    lines = shown(comparison_table(comparison))
    (place,) = (i for i, line in enumerate(lines) if " model " in line)
    assert "a member alone (mean of 2)" in lines[place + 1]
    assert comparison.mean_member is not None
    assert f"{comparison.mean_member.r2:.3f}" in lines[place + 1]


def test_what_is_not_defined_is_a_dash() -> None:
    cells = line_of(" mean ", shown(comparison_table(compared()))).split("│")
    assert cells[3].strip() == "-"  # the correlation of a constant


@pytest.mark.parametrize("width", [80, 120])
def test_figures_are_never_cut_short(width: int) -> None:
    assert "…" not in "".join(shown(comparison_table(compared()), width))


def test_each_part_shows_the_model_and_the_baseline_that_is_best_there() -> None:
    comparison = compared(parts=True)
    (table,) = part_tables(comparison)
    assert table.row_count == 4
    naive = comparison.by_unseen[comparison.by_unseen["predictor"] != "model"]
    for part, frame in naive.groupby("name"):
        best = frame.sort_values("r2").to_dict("records")[-1]
        lines = [line for line in shown(table, 140) if str(part) in line]
        assert best["predictor"] in lines[1]
        assert f"{best['r2']:.3f}" in lines[1]


def test_parts_that_are_all_alike_have_no_table() -> None:
    assert part_tables(compared()) == []


def test_folds_show_mean_and_spread() -> None:
    comparison = compared()
    summary = summarise_folds([comparison.to_plain(), comparison.to_plain()])
    lines = shown(folds_table(summary))
    assert lines[0].startswith("2 folds")
    assert f"{comparison.model.r2:.3f} ±0.000" in line_of("model ", lines)
    assert " - " in line_of(" mean ", lines[1:])


def test_the_spread_of_an_error_has_the_decimals_of_its_mean() -> None:
    comparison = compared()
    summary = summarise_folds([comparison.to_plain(), comparison.to_plain()])
    summary.loc[summary["name"] == "mean", ["rmse", "rmse_sd"]] = 52.25, 0.5
    assert "52.2 ±0.5" in line_of(" mean ", shown(folds_table(summary))[1:])

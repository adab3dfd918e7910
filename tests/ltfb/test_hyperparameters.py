"""The groups' first hyperparameters, and what a copy changes in them."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.errors import InputError
from combo_lightning.ltfb.hyperparameters import Mutation, Range, draw_initial

SPACE = {
    "learning_rate": Range(1e-5, 1e-1),
    "dropout": Range(0.0, 0.5, "linear"),
    "beta_2": Range(0.9, 0.9999),
}
METHODS = ("grid", "random", "sobol")
EACH = pytest.mark.parametrize("method", METHODS)


@EACH
@pytest.mark.parametrize("groups", [1, 2, 3, 8, 13])
def test_all_groups_start_within_the_ranges_and_apart(method: Any, groups: int) -> None:
    drawn = draw_initial(SPACE, groups, 3, method)
    assert drawn == draw_initial(dict(reversed(SPACE.items())), groups, 3, method)
    assert len({tuple(sorted(values.items())) for values in drawn}) == groups
    for values in drawn:
        assert set(values) == set(SPACE)
        assert all(SPACE[name].low <= v <= SPACE[name].high for name, v in values.items())


@EACH
def test_nothing_to_draw_is_nothing_drawn(method: Any) -> None:
    assert draw_initial({}, 3, 0, method) == [{}, {}, {}]
    assert draw_initial(SPACE, 0, 0, method) == []


def test_random_and_sobol_hang_on_the_seed() -> None:
    for method in ("random", "sobol"):
        assert draw_initial(SPACE, 4, 0, method) != draw_initial(SPACE, 4, 1, method)


def test_a_grid_takes_equal_steps_on_each_scale() -> None:
    rates = [
        v["learning_rate"] for v in draw_initial({"learning_rate": Range(1e-4, 1.0)}, 5, 0, "grid")
    ]
    assert rates == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    betas = [v["beta_1"] for v in draw_initial({"beta_1": Range(0.9, 0.999)}, 3, 0, "grid")]
    assert betas == pytest.approx([0.9, 0.99, 0.999])
    both = {"learning_rate": Range(1e-4, 1e-2), "dropout": Range(0.0, 0.5, "linear")}
    four = {(round(v["learning_rate"], 9), v["dropout"]) for v in draw_initial(both, 4, 0, "grid")}
    assert four == {(rate, dropout) for rate in (1e-4, 1e-2) for dropout in (0.0, 0.5)}
    six = draw_initial(both, 6, 0, "grid")
    assert sorted(len({round(v[name], 9) for v in six}) for name in both) == [2, 3]


def test_sobol_spreads_over_every_half_of_a_range() -> None:
    space = {"learning_rate": Range(1e-4, 1.0), "weight_decay": Range(1e-6, 1e-2)}
    drawn = draw_initial(space, 8, 5, "sobol")
    for name, middle in (("learning_rate", 1e-2), ("weight_decay", 1e-4)):
        assert sum(values[name] < middle for values in drawn) == 4


@EACH
def test_listed_values_go_around_the_groups(method: Any) -> None:
    space = {"learning_rate": Range(1e-6, 10.0, values=[1e-6, 1e-4, 10.0]), **SPACE}
    space["learning_rate"] = Range(1e-6, 10.0, values=[1e-6, 10.0, 1e-4])
    drawn = [v["learning_rate"] for v in draw_initial(space, 5, 0, method)]
    assert drawn == [1e-6, 10.0, 1e-4, 1e-6, 10.0]


@given(
    st.floats(1e-8, 1e3),
    st.floats(0, 0.99),
    st.lists(st.integers(0, 10_000), max_size=3),
    st.floats(0, 1),
    st.floats(1.01, 1e6),
)
def test_a_mutation_stays_within_bounds(
    rate: float, beta: float, seed: list[int], resample: float, factor: float
) -> None:
    values = {"learning_rate": rate, "beta_2": beta, "weight_decay": 0.5}
    changed = Mutation(factor, resample).mutate(values, SPACE, seed)
    assert changed == Mutation(factor, resample).mutate(values, SPACE, seed)
    assert changed["weight_decay"] == 0.5
    assert set(changed) == set(values)
    for name in ("learning_rate", "beta_2"):
        assert SPACE[name].low <= changed[name] <= SPACE[name].high


def test_a_mutation_multiplies_or_divides() -> None:
    values = {"learning_rate": 1e-3, "beta_2": 0.99}
    drawn = [Mutation(2.0).mutate(values, SPACE, [seed]) for seed in range(60)]
    assert {round(v["learning_rate"], 9) for v in drawn} == {2e-3, 5e-4}
    assert {round(v["beta_2"], 9) for v in drawn} == {0.98, 0.995}
    # Each by a coin of its own.
    assert len({(v["learning_rate"], v["beta_2"]) for v in drawn}) == 4


def test_what_changes_hangs_on_no_other_hyperparameter() -> None:
    alone = Mutation().mutate({"learning_rate": 1e-3}, SPACE, [1, 2])
    beside = Mutation().mutate({"learning_rate": 1e-3, "dropout": 0.2}, SPACE, [1, 2])
    assert alone["learning_rate"] == beside["learning_rate"]


def test_listed_values_move_to_a_neighbour() -> None:
    space = {"dropout": Range(0.0, 0.5, values=[0.5, 0.0, 0.1])}
    moved = {Mutation().mutate({"dropout": 0.1}, space, [s])["dropout"] for s in range(40)}
    assert moved == {0.0, 0.5}
    ends = {Mutation().mutate({"dropout": 0.5}, space, [s])["dropout"] for s in range(40)}
    assert ends == {0.1, 0.5}
    anew = {Mutation(1.2, 1.0).mutate({"dropout": 0.1}, space, [s])["dropout"] for s in range(60)}
    assert anew == {0.0, 0.1, 0.5}


def test_resampling_forgets_the_value() -> None:
    far = [
        Mutation(1.2, 1.0).mutate({"learning_rate": 1e-5}, SPACE, [s])["learning_rate"]
        for s in range(200)
    ]
    assert np.median(far) == pytest.approx(1e-3, rel=3.0)
    assert min(far) < 1e-4 < 1e-2 < max(far)
    mended = Mutation().mutate({"learning_rate": math.nan}, SPACE, [0])
    assert 1e-5 <= mended["learning_rate"] <= 1e-1


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Range(2.0, 1.0), "low first"),
        (lambda: Range(math.nan, 1.0), "finite"),
        (lambda: Range(0.0, 1.0), "log scale begins at 0.0"),
        (
            lambda: Range(0.0, 1.0, "cubic"),  # type: ignore[arg-type]
            "linear or log",
        ),
        (lambda: Range(0.0, 1.0, values=[]), "at least one"),
        (lambda: Range(0.1, 1.0, values=[0.5, 2.0]), "from low"),
        (lambda: Mutation(1.0), "mutation.factor is 1.0"),
        (lambda: Mutation(math.inf), "mutation.factor is inf"),
        (lambda: Mutation(1.2, 1.5), "resample_probability is 1.5"),
        (lambda: draw_initial({"beta_1": Range(0.5, 1.0)}, 2, 0, "grid"), "beta_1 goes from"),
    ],
)
def test_numbers_that_cannot_work_are_refused(make: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        make()


def test_importing_the_rules_loads_neither_torch_nor_scipys_statistics() -> None:
    code = (
        "import sys; import combo_lightning.ltfb.tournament, combo_lightning.ltfb.strategies, "
        "combo_lightning.ltfb.hyperparameters; print({'torch', 'scipy.stats'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "set()"

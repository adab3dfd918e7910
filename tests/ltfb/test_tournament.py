"""Who meets whom, and who wins."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.errors import InputError
from combo_lightning.ltfb.tournament import Rule, Standing, draw_partners

GROUPS = st.lists(st.integers(0, 2000), max_size=40, unique=True)
COUNTS = st.integers(0, 10_000)
ANY = st.floats(allow_nan=True, allow_infinity=True)
ROWS = st.lists(st.floats(-10, 10), min_size=6, max_size=6).map(np.array)


def mse(value: float) -> Standing:
    return Standing({"mse": value})


@given(GROUPS, COUNTS, COUNTS)
def test_partners_are_an_involution_that_leaves_one_out_at_most(
    groups: list[int], round_index: int, seed: int
) -> None:
    partners = draw_partners(groups, round_index, seed)
    assert set(partners) == set(groups)
    assert all(partners[partners[g]] == g for g in groups)
    assert sum(partners[g] == g for g in groups) == len(groups) % 2


@given(GROUPS, COUNTS, COUNTS, st.randoms())
def test_the_order_of_the_groups_does_not_matter(
    groups: list[int], round_index: int, seed: int, chance: object
) -> None:
    other = list(groups)
    chance.shuffle(other)  # type: ignore[attr-defined]
    assert draw_partners(groups, round_index, seed) == draw_partners(other, round_index, seed)


def test_in_time_everybody_meets_everybody_and_everybody_sits_out() -> None:
    met = {(g, p) for r in range(200) for g, p in draw_partners(range(7), r, 0).items()}
    assert met == {(g, p) for g in range(7) for p in range(7)}
    assert draw_partners(range(64), 0, 0) != draw_partners(range(64), 0, 1)


@given(ROWS, ROWS, st.floats(0, 1), st.sampled_from([None, 0.05, 0.4]), st.sampled_from("ab"))
def test_two_models_never_both_win(
    a: np.ndarray, b: np.ndarray, margin: float, significance: float | None, second: str
) -> None:
    rule = Rule(["a", second] if second == "b" else ["a"], "min", margin, significance, 50)
    one, two = (Standing.from_rows({"a": x, "b": -(x**2)}) for x in (a, b))
    there, back = rule.beats(one, two, [1, 2]), rule.beats(two, one, [1, 2])
    assert not (there.wins and back.wins)
    assert there.margin == -back.margin


@given(ANY, ANY, st.sampled_from(["min", "max"]), st.floats(0, 1e300))
def test_what_is_not_finite_never_wins_and_loses_to_what_is(
    a: float, b: float, mode: str, margin: float
) -> None:
    rule = Rule(["mse"], mode, margin)  # type: ignore[arg-type]
    verdict = rule.beats(mse(a), mse(b), [0])
    if not math.isfinite(a):
        assert not verdict.wins
        assert (verdict.reason, math.isnan(verdict.margin)) == ("not finite", True)
    elif not math.isfinite(b):
        assert verdict.wins
    else:
        assert verdict.wins == ((b - a if mode == "min" else a - b) > margin)


def test_minus_infinity_does_not_win_where_low_wins() -> None:
    assert not Rule(["mse"]).beats(mse(-math.inf), mse(5.0), [0]).wins
    assert not Rule(["mse"]).beats(mse(math.nan), mse(math.nan), [0]).wins
    assert not Rule(["mse"]).beats(Standing({}), mse(1.0), [0]).wins


@pytest.mark.parametrize(
    ("new", "wins", "reason"),
    [
        ({"mse": 0.5, "r2": 0.3}, False, "tie"),
        ({"mse": 0.4, "r2": 0.2}, False, "worse"),
        ({"mse": 0.6, "r2": 0.2}, False, "worse"),
        ({"mse": 0.6, "r2": 0.35}, False, "within the margin"),
        ({"mse": 0.6, "r2": 0.6}, True, "better"),
        ({"mse": 0.6, "r2": math.nan}, False, "not finite"),
    ],
)
def test_every_metric_must_be_won_by_more_than_the_margin(
    new: dict[str, float], wins: bool, reason: str
) -> None:
    rule = Rule(["mse", "r2"], "max", margin=0.08)
    verdict = rule.beats(Standing(new), Standing({"mse": 0.5, "r2": 0.3}), [0])
    assert (verdict.wins, verdict.reason) == (wins, reason)
    if reason != "not finite":
        assert verdict.margin == pytest.approx(new["mse"] - 0.5)


def test_the_first_metrics_margin_is_in_its_unit_and_positive_is_better() -> None:
    assert Rule(["mse"]).beats(mse(1.0), mse(3.0), [0]).margin == 2.0
    assert Rule(["mse"], "max").beats(mse(1.0), mse(3.0), [0]).margin == -2.0


def test_noise_wins_no_more_often_than_the_significance_says() -> None:
    draw = np.random.default_rng(0)
    rule = Rule(["mse"], significance=0.05, resamples=200)
    wins = 0
    for i in range(400):
        a, b = (Standing.from_rows({"mse": draw.normal(size=60)}) for _ in range(2))
        wins += rule.beats(a, b, [i]).wins
    # 20 expected; five standard deviations are 22.
    assert 2 <= wins <= 42
    plain = Rule(["mse"])
    better = Standing.from_rows({"mse": draw.normal(-1.0, size=60)})
    assert rule.beats(better, b, [0]).wins
    assert plain.beats(better, b, [0]).wins


def test_pairing_the_rows_finds_a_gain_far_below_their_spread() -> None:
    rows = np.random.default_rng(0).normal(scale=100.0, size=200)
    rule = Rule(["mse"], significance=0.01)
    old, new = Standing.from_rows({"mse": rows}), Standing.from_rows({"mse": rows - 0.1})
    assert rule.beats(new, old, [3]).reason == "better"


def test_a_standing_is_the_mean_of_its_rows_whatever_they_hold() -> None:
    standing = Standing.from_rows({"a": np.array([1.0, 4.0]), "b": np.array([])}, age=3)
    assert (standing.scores["a"], standing.age) == (2.5, 3)
    assert math.isnan(standing.scores["b"])
    rows = {"a": np.array([1e308, 1e308]), "b": np.array([math.inf, -math.inf])}
    assert not Rule(["a", "b"]).is_finite(Standing.from_rows(rows))


def test_a_bootstrap_without_paired_rows_is_refused() -> None:
    rule = Rule(["mse"], significance=0.05)
    with pytest.raises(InputError, match="set it to null"):
        rule.beats(mse(1.0), mse(2.0), [0])
    three, four = (Standing.from_rows({"mse": np.ones(n) / n}) for n in (3, 4))
    with pytest.raises(InputError, match="same tournament rows"):
        rule.beats(four, three, [0])


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule([]), "rule.metrics"),
        (Rule(["a", "a"]), "each once"),
        (Rule(["a"], "low"), "min or max"),  # type: ignore[arg-type]
        (Rule(["a"], margin=-1.0), "rule.margin"),
        (Rule(["a"], margin=math.nan), "rule.margin"),
        (Rule(["a"], significance=0.0), "rule.significance"),
        (Rule(["a"], significance=0.5), "rule.significance"),
        (Rule(["a"], significance=0.01, resamples=50), "set it to 100 or more"),
    ],
)
def test_a_rule_that_cannot_decide_is_refused(rule: Rule, text: str) -> None:
    with pytest.raises(InputError, match=text):
        rule.check()


def test_the_default_rule_stands() -> None:
    Rule(["mse"]).check()
    Rule(["mse", "r2"], "max", 0.1, 0.05, 100).check()

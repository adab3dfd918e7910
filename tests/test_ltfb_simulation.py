"""The simulated tournaments: the model of training, the populations, the bands."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from combo_lightning.ltfb.hyperparameters import Range
from combo_lightning.ltfb.strategies import (
    RandomPairwise,
    RegularizedEvolution,
    TreeAveraging,
    TruncationSelection,
)
from scripts.bench.ltfb_simulation import studies
from scripts.bench.ltfb_simulation.__main__ import measure, spread, tables
from scripts.bench.ltfb_simulation.bands import Band, envelope, lineage_band, world_band
from scripts.bench.ltfb_simulation.picture import draw
from scripts.bench.ltfb_simulation.population import Plan, Population, simulate
from scripts.bench.ltfb_simulation.training import TournamentRows, World

SMALL = World(dimensions=6, condition=30.0, batch_size=32, tournament_rows=200)
PLAN = Plan(8, world=SMALL, interval=20, rounds=12)


def test_the_closed_form_is_sgd_on_real_batches() -> None:
    draw_numbers = np.random.default_rng(0)
    groups, steps, rate = 400, 47, 0.4
    start_D = SMALL.start_D(draw_numbers)
    error_GD = np.tile(start_D, (groups, 1))
    for _ in range(steps):
        size = (groups, SMALL.batch_size, SMALL.dimensions)
        input_GBD = draw_numbers.normal(size=size) * np.sqrt(SMALL.curvature_D)
        noise_GB = draw_numbers.normal(size=size[:2]) * np.sqrt(SMALL.noise)
        residual_GB = np.einsum("gbd,gd->gb", input_GBD, error_GD) - noise_GB
        error_GD -= rate * np.einsum("gb,gbd->gd", residual_GB, input_GBD) / SMALL.batch_size
    zero_GD = np.zeros_like(error_GD)
    rate_G = np.full(groups, rate)
    quick_GD = SMALL.train(np.tile(start_D, (groups, 1)), zero_GD, rate_G, steps, draw_numbers)
    assert SMALL.excess(np.tile(start_D, (1, 1)))[0] == pytest.approx(SMALL.signal)
    # 400 groups: the mean's error is 3 %, and the noise's size is held for ten steps.
    true, quick = SMALL.excess(error_GD).mean(), SMALL.excess(quick_GD).mean()
    assert quick == pytest.approx(true, rel=0.15)
    np.testing.assert_allclose(quick_GD.mean(0), error_GD.mean(0), atol=0.05)


def test_a_rate_above_two_diverges_and_a_tiny_one_stays() -> None:
    history = simulate(replace(PLAN, num_groups=1, strategy=None, rates=Range(5.0, 5.0)), 0)
    assert not history.excess[-1] < 1e6
    history = simulate(replace(PLAN, num_groups=1, strategy=None, rates=Range(1e-6, 1e-6)), 0)
    assert history.excess[-1] == pytest.approx(1.0, rel=0.01)


def test_the_mean_of_the_shares_optima_is_that_of_all_rows() -> None:
    numbers = np.random.default_rng(0)
    shares = SMALL.optimum_GD(400, numbers, partition=True)
    whole = SMALL.optimum_GD(400, numbers, partition=False)
    assert (whole == whole[0]).all()
    ratio = SMALL.excess(shares).mean() / (SMALL.noise * SMALL.dimensions / SMALL.train_rows)
    assert ratio == pytest.approx(400, rel=0.2)


def test_scores_are_excess_and_noise() -> None:
    numbers = np.random.default_rng(0)
    world = replace(SMALL, tournament_rows=20_000)
    error_GD = numbers.normal(size=(3, world.dimensions))
    score_G = TournamentRows(world, numbers).score(error_GD).mean(axis=1)
    np.testing.assert_allclose(score_G, world.excess(error_GD) + world.noise, rtol=0.1)


@pytest.mark.parametrize(
    "strategy", [RandomPairwise(), TruncationSelection(), RegularizedEvolution()]
)
def test_all_descend_from_a_group_that_does_not_diverge(
    strategy: RandomPairwise | TruncationSelection | RegularizedEvolution,
) -> None:
    planted = Range(1e-6, 10.0, values=[1e-6, 0.3, 1e-3, 10.0])
    plan = replace(
        PLAN,
        num_groups=4,
        strategy=strategy,
        rates=planted,
        mutation=None,
        rounds=40,
        interval=200,
    )
    groups = Population(plan, 0)
    for round_index in range(1, plan.rounds + 1):
        groups.meet(round_index, groups.train(round_index))
    assert set(groups.ancestor_G) == {1}
    assert set(groups.rate_G) == {0.3}


def test_averaging_beats_its_members_and_a_diverging_member_spoils_it() -> None:
    plan = replace(PLAN, rates=Range(1.0, 1.0), mutation=None)
    alone = [simulate(replace(plan, strategy=None), s).excess[-1] for s in range(8)]
    mean = [simulate(replace(plan, strategy=TreeAveraging()), s).excess[-1] for s in range(8)]
    assert np.median(mean) < 0.7 * np.median(alone)
    planted = Range(1.0, 10.0, values=[1.0, 1.0, 1.0, 10.0])
    spoilt = simulate(replace(plan, strategy=TreeAveraging(), rates=planted), 0)
    assert not spoilt.excess[-1] < 1.0


def test_ancestors_never_come_back_and_equal_seeds_give_equal_runs() -> None:
    plan = replace(PLAN, failure=0.2)
    history = simulate(plan, 3)
    assert history == simulate(plan, 3)
    assert history.ancestors == sorted(history.ancestors, reverse=True)
    assert min(history.ancestors) >= 1
    assert min(history.living) < 8


def test_failed_groups_come_back_after_their_rounds_away() -> None:
    groups = Population(replace(PLAN, failure=0.5, away=2), 0)
    before = groups.error_GD.copy()
    kept = groups.train(1)
    failed = sorted(set(range(8)) - set(kept))
    assert failed
    assert (groups.error_GD[failed] == before[failed]).all()
    assert not set(failed) & (set(groups.train(2)) | set(groups.train(3)))
    assert set(groups.back_G[failed]) == {4}


def test_a_group_that_comes_back_to_an_average_can_start_from_the_mean() -> None:
    plan = replace(PLAN, strategy=TreeAveraging(), rates=Range(1e-9, 1e-9), failure=0.5, away=1)
    for copy in (False, True):
        groups = Population(replace(plan, returners_copy=copy), 0)
        away = sorted(set(range(8)) - set(groups.train(1)))
        groups.error_GD[away] += 1.0
        groups.train(2)
        back = [g for g in groups.train(3) if g in away]
        assert back
        assert np.allclose(groups.error_GD[back], groups.champion_D, atol=1e-3) == copy


def test_nobody_left_for_a_round_is_no_end() -> None:
    history = simulate(replace(PLAN, failure=1.0, away=1), 0)
    assert history.living == [0] * 12
    assert history.excess == [1.0] * 12


def test_takeover_is_the_first_round_with_one_ancestor() -> None:
    history = simulate(replace(PLAN, rounds=60), 1, until_takeover=True)
    assert history.takeover == len(history.ancestors)
    assert simulate(replace(PLAN, strategy=None), 1).takeover == math.inf


def test_two_groups_have_one_ancestor_after_a_round_and_four_have_two() -> None:
    two, four = lineage_band(2, 5, 0.3, draws=50), lineage_band(4, 5, 0.3, draws=200)
    assert two.ancestors == [(1.0, 1.0)] * 5
    assert two.takeover == (1.0, 1.0)
    assert four.ancestors[0] == (2.0, 2.0)
    assert four.ancestors[1] == (1.0, 2.0)


def test_four_groups_are_taken_over_in_the_second_round_as_often_as_can_be_counted() -> None:
    # Two pairs of two ancestors: unlike ones meet with chance 2/3, and then the better wins twice.
    mean = lineage_band(4, 2, 0.0, runs=2000, draws=1)
    low, high = mean.ancestors[1]
    assert low == high == pytest.approx(2 - 2 / 3, abs=0.04)
    # With a coin both meetings must fall alike: half of that.
    low, _ = lineage_band(4, 2, 0.5, runs=2000, draws=1).ancestors[1]
    assert low == pytest.approx(2 - 1 / 3, abs=0.04)


def test_the_envelope_holds_the_bands_within_it_and_names_what_lies_outside() -> None:
    wide = envelope(8, 6, draws=200)
    for upset in (0.0, 0.5):
        inner = lineage_band(8, 6, upset, draws=200)
        for (low, high), (least, most) in zip(inner.ancestors, wide.ancestors, strict=True):
            assert least <= low <= high <= most
    assert Band([(4, 4), (2, 3)], (2, 5)).outside([4, 1, 1]) == [2]
    runs = [simulate(replace(PLAN, mutation=None, rounds=6), s).ancestors for s in range(100)]
    inside = [not wide.outside(run) for run in runs]
    assert np.mean(inside) > 0.8


def test_simulated_training_has_a_band_of_its_loss() -> None:
    band = world_band(PLAN, seeds=20)
    assert band.excess is not None
    low, high = band.excess
    assert 0 < low < high < 0.5
    assert band.ancestors[0] == (4.0, 4.0)


def test_a_table_says_what_diverged() -> None:
    assert spread([1.0, 2.0, 3.0]) == "2 (1 to 3)"
    assert spread([0.001, 0.002, math.inf], 1e3, 1) == "2.0 (1.0 to diverges)"
    assert spread([math.inf] * 3, at_most="later") == "later"


@pytest.mark.slow
def test_the_studies_end_in_tables_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.bench.ltfb_simulation.__main__.INTERVALS", [200, 1000])
    monkeypatch.setattr("scripts.bench.ltfb_simulation.__main__.FAILURES", [0.0, 0.1])
    monkeypatch.setattr("scripts.bench.ltfb_simulation.__main__.REAL_GROUPS", [2])
    figures = measure([2, 4], 2)
    text = tables(figures)
    assert "| pairwise, significance 0.05 |" in text
    assert all(rates in text for rates in studies.KNOWN)
    draw(figures, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000

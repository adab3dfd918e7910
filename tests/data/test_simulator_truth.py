import numpy as np
import pytest

from combo_lightning.data.simulator_truth import Truth

CELLS, DRUGS = 30, 40


@pytest.fixture(scope="module")
def truth() -> Truth:
    draw = np.random.default_rng(1)
    return Truth.draw(draw.normal(size=(DRUGS, 6)), draw.normal(size=(CELLS, 4)), draw)


def test_the_interaction_is_equal_in_either_order(truth: Truth) -> None:
    draw = np.random.default_rng(2)
    cell, a, b = draw.integers(CELLS, size=99), *draw.integers(DRUGS, size=(2, 99))
    np.testing.assert_allclose(truth.interaction(cell, a, b), truth.interaction(cell, b, a))


def test_a_swapped_pair_with_its_doses_grows_alike(truth: Truth) -> None:
    draw = np.random.default_rng(3)
    cell, drug = draw.integers(CELLS, size=99), draw.integers(DRUGS, size=(99, 2))
    dose = draw.uniform(-8, -4, size=(99, 2))
    forward, backward = (
        truth.growth(cell, drug, dose),
        truth.growth(cell, drug[:, ::-1], dose[:, ::-1]),
    )
    np.testing.assert_allclose(forward, backward)


def test_more_of_a_single_drug_never_grows_more_and_ends_at_its_floor(truth: Truth) -> None:
    dose = np.linspace(-12, 2, 50)
    for drug in range(DRUGS):
        growth, expected = truth.growth(
            np.zeros(50, dtype=int), np.full((50, 1), drug), dose[:, None]
        )
        assert (np.diff(growth) <= 0).all()
        assert growth[0] == pytest.approx(100, abs=1)
        assert growth[-1] == pytest.approx(100 * truth.floor_D[drug], abs=1)
        np.testing.assert_array_equal(growth, expected)


def test_half_of_the_effect_is_reached_at_the_lines_own_dose(truth: Truth) -> None:
    cell, drug = np.arange(CELLS), np.arange(CELLS)
    growth, _ = truth.growth(cell, drug[:, None], truth.log_ic50_DC[drug, cell][:, None])
    np.testing.assert_allclose(growth, 100 * (1 + truth.floor_D[drug]) / 2)


def test_an_empty_slot_adds_nothing(truth: Truth) -> None:
    cell, drug = np.arange(CELLS), np.arange(CELLS)[:, None]
    dose = np.full((CELLS, 1), -6.0)
    alone = truth.growth(cell, drug, dose)
    empty = np.full_like(drug, -1)
    padded = truth.growth(
        cell, np.concatenate([empty, drug], 1), np.concatenate([dose + 9, dose], 1)
    )
    np.testing.assert_allclose(alone, padded)


def test_most_of_the_synergy_takes_line_and_both_drugs_together(truth: Truth) -> None:
    upper = np.triu_indices(DRUGS, 1)
    cell = np.repeat(np.arange(CELLS), len(upper[0]))
    a, b = (np.tile(side, CELLS) for side in upper)
    synergy = truth.interaction(cell, a, b).reshape(CELLS, -1)
    beside_pairs = synergy - synergy.mean(axis=0)
    # What the pair's mean over lines leaves: no identity of line or pair tells it.
    assert 0.4 < beside_pairs.var() / synergy.var() < 0.9

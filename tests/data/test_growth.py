import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.growth import (
    combo_scores,
    expected_growth,
    growth_crossing,
    percent_growth,
    score,
)
from combo_lightning.errors import InputError


def test_percent_growth_follows_its_definition() -> None:
    treated, control, start = np.array([2.0, 1.0, 0.5, 1.5, 0.0]), np.full(5, 2.0), np.ones(5)
    np.testing.assert_allclose(percent_growth(treated, control, start), [100, 0, -50, 50, -100])


@pytest.mark.parametrize(
    ("alone", "expected"),
    [
        ([50.0, 50.0], 25.0),
        ([120.0, 80.0], 80.0),
        ([-20.0, 50.0], -20.0),
        ([-20.0, -50.0], -50.0),
        ([0.0, 70.0], 0.0),
        ([130.0, 150.0], 100.0),
    ],
)
def test_modified_bliss_multiplies_growth_or_takes_the_least(
    alone: list[float], expected: float
) -> None:
    assert expected_growth(np.array([alone]))[0] == pytest.approx(expected)


GROWTH = st.floats(-100, 200)


@given(GROWTH, GROWTH)
def test_no_drug_is_expected_to_help_growth_and_order_does_not_matter(a: float, b: float) -> None:
    both = expected_growth(np.array([[a, b], [b, a]]))
    assert both[0] == both[1]
    assert both[0] <= max(min(a, 100.0), min(b, 100.0)) + 1e-9
    alone = expected_growth(np.array([[a, 100.0]]))[0]
    assert alone == pytest.approx(min(a, 100.0))


@pytest.mark.parametrize(
    ("expected", "measured", "points"),
    [
        (12.58, 13.08, -1),
        (100.0, 99.5, 1),
        (83.17, 43.67, 40),
        (98.63, 101.13, -3),
        (85.092, 95.59, -10),
        (10.0, 10.4, 0),
    ],
)
def test_halves_round_away_from_zero_as_in_the_file(
    expected: float, measured: float, points: int
) -> None:
    # The wells of the real file where other rules of rounding fail.
    assert score(np.array([expected]), np.array([measured]))[0] == points


@pytest.mark.parametrize(
    ("growth", "level", "dose", "where"),
    [
        ([100, 80, 20, -60], 50, -6.5, "inside"),
        ([100, 80, 20, -60], 0, -5.75, "inside"),
        ([100, 80, 20, -60], -50, -5.125, "inside"),
        ([100, 90, 80, 70], 50, -5, "above"),
        ([40, 30, 20, 10], 50, -8, "below"),
        ([100, 50, 40, 30], 50, -7, "inside"),
        ([100, 40, 60, 30], 50, -8 + 5 / 6, "inside"),
        ([100, np.nan, 0, -60], 50, -7, "inside"),
    ],
)
def test_gi50_tgi_and_lc50_lie_on_a_line_between_two_doses(
    growth: list[float], level: float, dose: float, where: str
) -> None:
    doses = np.array([-8.0, -7.0, -6.0, -5.0])
    found, place = growth_crossing(doses[::-1], np.array(growth)[::-1], level)
    assert found == pytest.approx(dose)
    assert place == where


def test_repeated_doses_average_before_the_crossing() -> None:
    doses, growth = np.array([-7.0, -7.0, -6.0]), np.array([90.0, 70.0, 20.0])
    assert growth_crossing(doses, growth, 50)[0] == pytest.approx(-6.5)
    with pytest.raises(InputError, match="no growth"):
        growth_crossing(doses, np.full(3, np.nan), 50)


def test_a_matrix_is_summed_to_its_combo_score() -> None:
    growth = np.array([[100, 80, -20], [60, 50, -30], [10, 5, -40.4]])
    torn = growth.copy()
    torn[2, 2] = np.nan
    # Expected 48, -20, 8, -20; minus measured -2, 10, 3, 20 (rounded).
    found = combo_scores(np.stack([growth, torn]))
    assert found[0] == 31
    assert np.isnan(found[1])

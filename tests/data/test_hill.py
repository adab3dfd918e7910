import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import curve_fit

from combo_lightning.data.hill import (
    INHIBITION,
    VIABILITY,
    VIABILITY_FREE,
    HillBounds,
    HillFits,
    fit_hill,
    fit_hill_padded,
)

Floats = npt.NDArray[np.float64]
DOSES = np.linspace(-9, -5, 9)


def curve(x: Floats, start: float, end: float, ec50: float, slope: float) -> Floats:
    return np.asarray(start + (end - start) / (1 + 10 ** (slope * (ec50 - x))))


def of_curve(*parameters: float) -> HillFits:
    return fit_hill([DOSES], [curve(DOSES, *parameters)], VIABILITY_FREE)


@settings(max_examples=40, deadline=None)
@given(st.floats(85, 115), st.floats(0, 60), st.floats(-8.3, -5.7), st.floats(0.4, 4))
def test_exact_series_give_their_curve_back(
    start: float, end: float, ec50: float, slope: float
) -> None:
    fit = of_curve(start, end, ec50, slope)
    assert fit.rmse[0] < 0.02
    # A flat curve has its parameters in its smallest bends: the curve is what must agree.
    expected = curve(DOSES, start, end, ec50, slope)
    np.testing.assert_allclose(fit.predict(DOSES[None])[0], expected, atol=0.06)


def test_the_parameters_of_a_steep_series_are_found() -> None:
    fit = of_curve(97, 12, -6.9, 1.7)
    found = [fit.start[0], fit.end[0], fit.log10_ec50[0], fit.slope[0]]
    np.testing.assert_allclose(found, [97, 12, -6.9, 1.7], rtol=1e-5)
    assert fit.r2[0] == pytest.approx(1)
    assert (fit.lowest[0], fit.highest[0]) == (-9, -5)


def test_no_start_of_scipy_finds_a_better_fit() -> None:
    rng = np.random.default_rng(3)
    series = [
        curve(DOSES, 100, rng.uniform(0, 90), rng.uniform(-9, -5), rng.uniform(0.5, 3))
        + rng.normal(0, 8, len(DOSES))
        for _ in range(25)
    ]
    fits = fit_hill([DOSES] * len(series), series, VIABILITY)
    for row, y in enumerate(series):
        rss = []
        for ec50 in (-8.5, -7.0, -5.5):
            for slope in (0.5, 2.0, 5.0):
                (end, x0, h), *_ = curve_fit(
                    lambda x, end, x0, h: curve(x, 100, end, x0, h),
                    DOSES, y, p0=(30, ec50, slope), bounds=([0, -10, 0.1], [100, -4, 8]),
                    max_nfev=20_000,
                )  # fmt: skip
                best = curve(DOSES, 100, float(end), float(x0), float(h))
                rss.append(float(((best - y) ** 2).sum()))
        mine = fits.rmse[row] ** 2 * len(DOSES)
        # Flat series have long valleys where both creep: 0.1 % of the sum is no other fit.
        assert mine <= min(rss) * 1.001


def test_relative_and_absolute_ic50_differ_where_the_effect_is_partial() -> None:
    fit = of_curve(100, 40, -7, 1)
    assert fit.log10_ec50[0] == pytest.approx(-7, abs=1e-4)
    # 100 - 60 s = 50 at s = 5/6: 10 ** (x + 7) = 5.
    assert fit.log10_ic50()[0] == pytest.approx(-7 + np.log10(5), abs=1e-4)
    assert fit.log10_ic50(70)[0] == pytest.approx(-7, abs=1e-4)
    assert np.isnan(of_curve(100, 60, -7, 1).log10_ic50()[0])


def test_an_ic50_beyond_the_tested_doses_is_told() -> None:
    fit = of_curve(100, 0, -4.5, 1)
    assert fit.log10_ic50()[0] == pytest.approx(-4.5, abs=1e-3)
    assert not fit.inside(fit.log10_ic50())[0]
    fit = of_curve(100, 0, -6, 1)
    assert fit.inside(fit.log10_ic50())[0]
    # What is never reached is not inside.
    assert not fit.inside(np.array([np.nan]))[0]


@pytest.mark.parametrize("parameters", [(100, 0, -7, 1), (95, 30, -5.2, 3), (110, 5, -8.9, 0.5)])
def test_the_mean_response_is_the_area_over_the_tested_range(
    parameters: tuple[float, float, float, float],
) -> None:
    fit = of_curve(*parameters)
    area, _ = quad(lambda x: float(curve(np.array(x), *parameters)), -9, -5)
    assert fit.mean_response()[0] == pytest.approx(area / 4, abs=0.01)


def test_without_effect_the_auc_is_one_and_no_dose_is_the_ic50() -> None:
    fit = fit_hill([DOSES], [np.full(9, 100.0)], VIABILITY)
    assert fit.mean_response()[0] / 100 == pytest.approx(1)
    assert np.isnan(fit.log10_ic50()[0])
    assert np.isnan(fit.r2[0])
    assert fit.rmse[0] == pytest.approx(0, abs=1e-6)


def test_inhibition_rises_from_a_fixed_zero() -> None:
    y = curve(DOSES, 0, 80, -6.5, 1.5)
    fit = fit_hill([DOSES], [y], INHIBITION)
    assert (fit.start[0], fit.end[0]) == (0, pytest.approx(80))
    assert fit.predict(np.array([[-np.inf]]))[0, 0] == pytest.approx(0)


def test_a_start_of_its_own_for_each_series() -> None:
    ys = [curve(DOSES, 20, 100, -7, 1), curve(DOSES, 60, 100, -6, 2)]
    bounds = HillBounds(end=(100, 100))
    fit = fit_hill([DOSES] * 2, ys, bounds, start=np.array([20.0, 60.0]))
    np.testing.assert_allclose(fit.log10_ec50, [-7, -6], atol=1e-6)
    np.testing.assert_allclose(fit.slope, [1, 2], rtol=1e-5)
    np.testing.assert_allclose(fit.start, [20, 60])


def test_repeated_unordered_and_missing_wells_are_taken_as_they_are() -> None:
    x = np.array([-5, -9, -6, -7, -8, -7, -6.5])
    y = curve(x, 100, 10, -7, 1)
    y[3] += 4
    y[5] -= 4
    y[6] = np.nan
    both = fit_hill([x, DOSES], [y, curve(DOSES, 100, 10, -7, 1)], VIABILITY)
    np.testing.assert_allclose(both.log10_ec50, [-7, -7], atol=1e-3)
    np.testing.assert_allclose(both.rmse, [np.sqrt(32 / 6), 0], atol=1e-3)


def test_fewer_than_three_doses_are_not_fitted() -> None:
    fit = fit_hill(
        [np.array([-6.0, -5.0]), np.array([-6.0, -6.0, -5.0]), DOSES],
        [np.array([90.0, 10.0]), np.array([90.0, 80.0, 10.0]), curve(DOSES, 100, 0, -7, 1)],
    )
    np.testing.assert_array_equal(np.isnan(fit.log10_ec50), [True, True, False])
    assert np.isnan(fit.mean_response()[0])
    assert len(fit_hill([], [])) == 0


def test_a_series_that_does_not_fit_its_doses_is_refused() -> None:
    with pytest.raises(ValueError, match="series 1: 2 doses"):
        fit_hill([DOSES, np.zeros(2)], [DOSES, np.zeros(3)])
    with pytest.raises(ValueError, match="series 0"):
        fit_hill([np.array([-np.inf, -5.0])], [np.ones(2)])


def test_many_series_at_once_are_the_single_ones() -> None:
    rng = np.random.default_rng(0)
    y = 100 - 60 / (1 + 10 ** (-7 - DOSES)) + rng.normal(0, 5, (5000, 9))
    many = fit_hill_padded(np.tile(DOSES, (5000, 1)), y)
    for row in (0, 4095, 4096, 4999):
        one = fit_hill([DOSES], [y[row]])
        assert one.log10_ec50[0] == pytest.approx(many.log10_ec50[row], abs=1e-4)

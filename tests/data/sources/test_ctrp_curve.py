import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.sources.ctrp_curve import Curves, log10_molar


def curve(center: float, slope: float, decline: float, baseline: float) -> Curves:
    return Curves(*(np.array([x]) for x in (center, slope, decline, baseline)))


@given(
    center=st.floats(-10, 10),
    slope=st.floats(-4, -0.1),
    baseline=st.floats(-0.1, 1.1),
    low=st.floats(-12, 0),
    width=st.floats(1, 16),
)
def test_the_area_is_the_integral_of_the_viability(
    center: float, slope: float, baseline: float, low: float, width: float
) -> None:
    curves = curve(center, slope, 1 - baseline, baseline)
    x = low + width * (np.arange(20_000) + 0.5) / 20_000
    summed = curves.viability(x).mean() * width
    area = curves.area(np.array([low]), np.array([low + width]))
    assert area[0] == pytest.approx(summed, abs=1e-4)


@given(center=st.floats(-10, 10), slope=st.floats(-4, -0.1), baseline=st.floats(-0.1, 0.45))
def test_a_half_is_where_the_viability_is_a_half(
    center: float, slope: float, baseline: float
) -> None:
    curves = curve(center, slope, 1 - baseline, baseline)
    assert curves.viability(curves.half())[0] == pytest.approx(0.5)


def test_a_curve_that_stays_above_a_half_never_is_one() -> None:
    assert np.isnan(curve(0, -1, 0.4, 0.6).half()[0])
    assert np.isnan(curve(0, -1, 0.5, 0.5).half()[0])


def test_log2_micromolar_is_log10_molar() -> None:
    np.testing.assert_allclose(log10_molar(np.array([0.0, 1.0])), [-6, np.log10(2e-6)])

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.monotone import MonotoneMap, fit_maps

VALUES = st.lists(st.integers(-400, 400).map(lambda n: n / 4), min_size=1, max_size=60)
HOWS = pytest.mark.parametrize("how", ["mean_variance", "quantile"])


def fit(own: Any, other: Any, how: Any, weights: Any = None) -> MonotoneMap:
    """The map onto the common scale with `other`, which weighs so much that it is its own."""
    own, other = np.asarray(own, dtype=float), np.asarray(other, dtype=float)
    weight = np.ones(len(own)) if weights is None else weights
    known = fit_maps([(own, weight), (other, np.full(len(other), 1e12))], how)[0]
    assert known is not None
    return known


@HOWS
@given(own=VALUES, pooled=VALUES, asked=VALUES)
def test_a_map_rises_and_its_inverse_undoes_it(
    how: Any, own: list[float], pooled: list[float], asked: list[float]
) -> None:
    known = fit(own, pooled, how)
    assert (np.diff(known.x) > 0).all()
    assert (np.diff(known.y) > 0).all()
    x = np.sort(np.array([*asked, -1e4, 1e4]))
    y = known.apply(x)
    assert (np.diff(y)[np.diff(x) > 0] > 0).all()
    # Quantiles may stand close: a steep piece keeps fewer digits.
    np.testing.assert_allclose(known.invert(y), x, atol=1e-7 * max(1, np.abs(x).max()))


@HOWS
def test_an_affine_copy_comes_back(how: Any) -> None:
    draw = np.random.default_rng(1)
    pooled = draw.normal(5, 3, 5000)
    known = fit(0.25 * pooled - 40, pooled, how)
    x = np.array([-20.0, 0.0, 5.0, 9.0, 30.0])
    np.testing.assert_allclose(known.apply(0.25 * x - 40), x, atol=1e-9)


def test_mean_and_spread_are_brought_onto_the_others() -> None:
    own, pooled = np.array([0.0, 1, 5]), np.array([10.0, 20, 30, 80])
    mapped = fit(own, pooled, "mean_variance").apply(own)
    assert mapped.mean() == pytest.approx(pooled.mean())
    assert mapped.std() == pytest.approx(pooled.std())


def test_quantiles_undo_what_no_line_can() -> None:
    draw = np.random.default_rng(2)
    pooled = draw.normal(size=20_000)
    own = np.exp(draw.normal(size=20_000))
    mapped = fit(own, pooled, "quantile").apply(own)
    central = (own > np.quantile(own, 0.02)) & (own < np.quantile(own, 0.98))
    # 20,000 rows leave a percentile in doubt by 0.03 at most.
    np.testing.assert_allclose(mapped[central], np.log(own[central]), atol=0.08)


def test_weights_count_as_rows_do() -> None:
    draw = np.random.default_rng(3)
    own, pooled = draw.normal(size=50), draw.normal(size=80)
    weighted = fit(own, pooled, "mean_variance", np.where(np.arange(50) < 10, 2.0, 1.0))
    repeated = fit(np.concatenate([own, own[:10]]), pooled, "mean_variance")
    assert weighted.slope == pytest.approx(repeated.slope)
    assert weighted.x == pytest.approx(repeated.x)


@HOWS
def test_a_constant_is_moved_and_not_stretched(how: Any) -> None:
    known = fit([3.0] * 40, np.arange(40.0), how)
    np.testing.assert_allclose(known.apply(np.array([3.0, 4.0])), [19.5, 20.5])


def test_no_weight_is_no_map() -> None:
    nothing, some = (np.ones(2), np.zeros(2)), (np.arange(2.0), np.ones(2))
    assert fit_maps([nothing, (np.ones(0), np.ones(0))], "quantile") == [None, None]
    first, second = fit_maps([nothing, some], "mean_variance")
    assert first is None
    assert second is not None
    np.testing.assert_array_equal(second.apply(some[0]), some[0])


@HOWS
def test_the_common_scale_is_between_the_groups_and_has_one_peak(how: Any) -> None:
    draw = np.random.default_rng(4)
    x = np.sort(draw.normal(size=3000))
    groups = [(1 * x, np.ones(3000)), (3 * x + 100, np.ones(3000))]
    for known, (own, _) in zip(fit_maps(groups, how), groups, strict=True):
        assert known is not None
        # Percentiles leave what is between them in doubt.
        np.testing.assert_allclose(known.apply(own), 2 * x + 50, atol=0.02)

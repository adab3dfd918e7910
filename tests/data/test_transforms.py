import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.transforms import (
    FittedBlock,
    Standardizer,
    TransformConfig,
    apply_blocks,
    fit_block,
    fit_blocks,
)
from combo_lightning.errors import InputError
from tests.data.screens import make_cells

DRAW = np.random.default_rng(0)


def block(values: np.ndarray) -> FeatureBlock:
    names = tuple(f"f{i}" for i in range(values.shape[1]))
    return FeatureBlock("b", names, "u", values.astype(np.float32))


def test_training_entities_come_out_standardised_and_missing_as_zero() -> None:
    values = DRAW.normal(50, 3, (40, 5))
    values[3, 2] = np.nan
    values[7] = np.nan
    rows = np.arange(30)
    fitted = fit_block(block(values), rows, TransformConfig(clip=None))
    x = fitted.apply(values.astype(np.float32))
    present = ~np.isnan(values[rows]).any(axis=1)
    np.testing.assert_allclose(x[rows][present].mean(axis=0), 0, atol=0.1)
    assert x[3, 2] == 0
    assert (x[7] == 0).all()
    full = np.delete(values[:30, 0], 7)
    np.testing.assert_allclose(
        x[:30, 0][np.arange(30) != 7], (full - full.mean()) / full.std(), 1e-4
    )


def test_fitting_by_chunks_gives_the_bits_of_fitting_at_once() -> None:
    values = DRAW.normal(7, 3, (2600, 5)).astype(np.float32)
    values[DRAW.random(values.shape) < 0.05] = np.nan
    rows = np.flatnonzero(DRAW.random(2600) < 0.8)
    fitted = fit_block(block(values), rows, TransformConfig())
    x = values[rows].astype(np.float64)
    present = ~np.isnan(x)
    mean = np.where(present, x, 0).sum(axis=0) / present.sum(axis=0)
    variance = (np.where(present, x - mean, 0) ** 2).sum(axis=0) / present.sum(axis=0)
    np.testing.assert_array_equal(fitted.mean, mean.astype(np.float32))
    np.testing.assert_array_equal(fitted.scale, np.sqrt(variance).astype(np.float32))
    whole = apply_blocks([fitted], {"b": block(values)}, 2600)
    np.testing.assert_array_equal(whole, fitted.apply(values))


@given(st.integers(0, 2**31))
def test_entities_outside_training_change_nothing(seed: int) -> None:
    values = DRAW.normal(size=(10, 4))
    other = values.copy()
    other[6:] = np.random.default_rng(seed).normal(100, 50, (4, 4))
    rows = np.arange(6)
    config = TransformConfig(pca={"b": 3})
    a, b = (fit_block(block(v), rows, config) for v in (values, other))
    for mine, theirs in zip(a.to_plain().values(), b.to_plain().values(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_constant_and_absent_features_are_dropped() -> None:
    values = np.stack([np.full(8, 7.123), np.arange(8.0), np.full(8, np.nan)], axis=1)
    fitted = fit_block(block(values), np.arange(8), TransformConfig())
    assert fitted.kept.tolist() == [1]
    with pytest.raises(InputError, match="no feature of block 'b' varies"):
        fit_block(block(values[:, :1]), np.arange(8), TransformConfig())


def test_features_below_the_least_variance_are_dropped() -> None:
    values = DRAW.normal(size=(50, 2)) * [0.1, 10]
    fitted = fit_block(block(values), np.arange(50), TransformConfig(min_variance=1.0))
    assert fitted.kept.tolist() == [1]


def test_outliers_are_clipped() -> None:
    values = DRAW.normal(size=(50, 1))
    values[49] = 1e6
    fitted = fit_block(block(values), np.arange(49), TransformConfig(clip=4.0))
    assert fitted.apply(values.astype(np.float32)).max() == 4.0


def test_without_standardising_missing_values_become_the_mean() -> None:
    values = np.array([[1.0, 2], [3, 4], [np.nan, 6]])
    config = TransformConfig(standardize=False)
    fitted = fit_block(block(values), np.arange(3), config)
    np.testing.assert_allclose(fitted.apply(values.astype(np.float32))[2], [0, 2])


def test_principal_components_are_uncorrelated_of_unit_variance_and_reproducible() -> None:
    values = DRAW.normal(size=(60, 8)) @ DRAW.normal(size=(8, 8))
    config = TransformConfig(pca={"b": 4}, clip=None)
    fitted = fit_block(block(values), np.arange(60), config)
    x = fitted.apply(values.astype(np.float32))
    assert x.shape == (60, 4)
    np.testing.assert_allclose(np.cov(x.T), np.eye(4), atol=1e-3)
    again = FittedBlock.from_plain(fitted.to_plain())
    np.testing.assert_array_equal(again.apply(values.astype(np.float32)), x)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TransformConfig(cell_blocks=["expresion"]), "did you mean 'expression'"),
        (TransformConfig(cell_blocks=[]), "no feature block"),
        (TransformConfig(pca={"expression": 99}), "it can be 1 to 5"),
    ],
)
def test_blocks_and_components_that_are_not_there_are_refused(
    config: TransformConfig, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit_blocks(make_cells(6), np.arange(6), config)


def test_a_block_that_entities_lack_counts_as_missing() -> None:
    cells = make_cells(6)
    fitted = fit_blocks(cells, np.arange(6), TransformConfig())
    assert (apply_blocks(fitted, {}, 2) == 0).all()
    assert apply_blocks(fitted, cells.blocks, 6).dtype == np.float32


def test_standardizer_weighs_rows_and_inverts() -> None:
    values = np.array([1.0, 5.0, 9.0], dtype=np.float32)
    scale = Standardizer.fit(values, np.array([1.0, 0, 1], dtype=np.float32))
    assert scale == Standardizer(mean=5.0, scale=4.0)
    np.testing.assert_allclose(scale.invert(scale.apply(values)), values, rtol=1e-6)
    assert Standardizer.fit(np.full(3, 2.0, dtype=np.float32)).scale == 1.0

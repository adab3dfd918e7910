from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from combo_lightning.checkpoint import pack_content, unpack_content
from combo_lightning.data.batches import Columns, OrderedBatches
from combo_lightning.data.catalog import Catalog
from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.splits import SplitConfig, draw_split
from combo_lightning.data.studies import KnownStudies, study_codes
from combo_lightning.data.transforms import TransformConfig
from combo_lightning.errors import InputError
from combo_lightning.model import NetworkConfig
from tests.data.screens import full_screen

NAMES = ("b", "", "a")


def screen_of_studies() -> ScreenDataset:
    """Rows of b, of no study, and of a: the last on ten times the scale."""
    screen = full_screen(cells=8)
    study_N = (np.arange(len(screen.responses)) % 3).astype(np.int16)
    response_N = screen.responses.response_N * np.where(study_N == 2, 10, 1).astype("f4")
    responses = replace(
        screen.responses, study_N=study_N, studies=NAMES, response_N=response_N
    )  # fmt: skip
    return replace(screen, responses=responses)


def fit(screen: ScreenDataset, how: Any, rows: Any = None) -> KnownStudies:
    rows = np.arange(len(screen.responses)) if rows is None else rows
    return KnownStudies.fit(screen.responses, rows, how)


@pytest.mark.parametrize("how", ["mean_variance", "quantile"])
def test_studies_share_one_scale_and_keep_their_own(how: Any) -> None:
    screen = screen_of_studies()
    y, code = screen.responses.response_N, study_codes(screen.responses)
    studies = fit(screen, how)
    pooled = studies.to_common(y, code)
    # Rows of no study are on the common scale as they are.
    np.testing.assert_array_equal(pooled[code < 0], y[code < 0])
    one, other = pooled[code == 0], pooled[code == 2]
    assert y[code == 2].mean() > 5 * y[code == 0].mean()
    assert one.mean() == pytest.approx(other.mean(), rel=0.02)
    assert one.std() == pytest.approx(other.std(), rel=0.05)
    np.testing.assert_allclose(studies.from_common(pooled, code), y, rtol=1e-9)


def test_nothing_changes_where_nothing_is_harmonised() -> None:
    screen = screen_of_studies()
    y, code = screen.responses.response_N, study_codes(screen.responses)
    assert fit(screen, "none").to_common(y, code) is y
    one = full_screen()
    known = KnownStudies.fit(one.responses, np.arange(9), "quantile")
    assert known.to_common(y, study_codes(one.responses)) is y


def test_a_study_that_training_does_not_hold_is_on_the_pooled_scale_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    screen = screen_of_studies()
    code = study_codes(screen.responses)
    caplog.set_level("INFO")
    studies = fit(screen, "mean_variance", np.flatnonzero(code != 2))
    assert "no training row is of a, whose" in caplog.text
    assert studies.seen.tolist() == [True, False, False]
    values = np.arange(4.0)
    np.testing.assert_array_equal(studies.to_common(values, np.full(4, 2)), values)
    np.testing.assert_array_equal(studies.to_common(values, None), values)


def test_test_rows_never_change_what_is_fitted() -> None:
    screen = screen_of_studies()
    rows = np.arange(0, len(screen.responses), 2)
    others = np.setdiff1d(np.arange(len(screen.responses)), rows)
    y = screen.responses.response_N.copy()
    y[others] = 1e6
    noisy = replace(screen, responses=replace(screen.responses, response_N=y))
    for how in ("mean_variance", "quantile"):
        a, b = fit(screen, how, rows).to_plain(), fit(noisy, how, rows).to_plain()
        np.testing.assert_equal(a, b)


@pytest.mark.parametrize("how", ["none", "mean_variance", "quantile"])
def test_a_checkpoint_keeps_studies_and_batches_carry_them(how: Any) -> None:
    screen = screen_of_studies()
    split = draw_split(screen, SplitConfig(), 1)
    catalog = Catalog.fit(screen, split, TransformConfig(harmonize=how))
    content = {"combo_lightning": pack_content(NetworkConfig(), catalog)}
    _, kept = unpack_content(content, "it")
    assert kept.studies.names == NAMES
    np.testing.assert_equal(kept.studies.to_plain(), catalog.studies.to_plain())
    rows = np.array([0, 1, 2, 5])
    (batch,) = OrderedBatches(Columns(screen.responses, catalog), rows, 9)
    assert batch.study_B is not None
    assert batch.study_B.tolist() == [0, -1, 2, 2]
    unit = kept.in_unit(batch.response_B.numpy(), batch.study_B.numpy())
    np.testing.assert_allclose(unit, screen.responses.response_N[rows], rtol=1e-4)
    assert torch.isfinite(batch.response_B).all()


def test_a_checkpoint_from_before_there_were_studies_is_read() -> None:
    screen = full_screen()
    catalog = Catalog.fit(screen, draw_split(screen, SplitConfig(), 1), TransformConfig())
    content = {"combo_lightning": pack_content(NetworkConfig(), catalog)}
    del content["combo_lightning"]["catalog"]["studies"]
    del content["combo_lightning"]["network"]["study_embedding"]
    del content["combo_lightning"]["network"]["study_dropout"]
    for block in content["combo_lightning"]["catalog"]["cells"]["blocks"]:
        del block["platforms"]
    network, kept = unpack_content(content, "it")
    assert network == NetworkConfig()
    assert kept.studies.names == ()


def test_a_study_is_found_by_its_name() -> None:
    studies = fit(screen_of_studies(), "none")
    assert (studies.index("a", "x"), studies.index("", "x")) == (2, -1)
    with pytest.raises(InputError, match="--study: the study 'A' is not known; did you mean 'a'"):
        studies.index("A", "--study")

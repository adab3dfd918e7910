from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import curve_fit

from combo_lightning.data.synergy_scores import (
    DoseMatrices,
    SynergyScore,
    expected_loewe,
    synergy_excess,
    synergy_scores,
)

Floats = npt.NDArray[np.float64]
DOSES_UM = np.array([0, 0.1, 0.3, 1, 3, 10.0])
SCORES: tuple[SynergyScore, ...] = get_args(SynergyScore)


def logs(doses: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log10(doses) - 6)


def hill(doses: Floats, end: float, slope: float, ec50: float) -> Floats:
    return np.asarray(end * doses**slope / (ec50**slope + doses**slope))


def bliss_matrix(first: Floats, second: Floats) -> Floats:
    a, b = first[:, None], second[None, :]
    return np.asarray(a + b - a * b / 100)


def matrices(*inhibition: Floats, doses: Floats = DOSES_UM) -> DoseMatrices:
    x = np.tile(logs(doses), (len(inhibition), 1))
    return DoseMatrices(x, x, np.stack(inhibition))


def test_bliss_and_hsa_are_what_a_hand_computes() -> None:
    measured = np.array([[0, 20, 60], [10, 40, 70], [50, 55, 60.0]])
    found = matrices(measured, doses=np.array([0, 1, 10.0]))
    # 40 - (10 + 20 - 2), 70 - (10 + 60 - 6), 55 - (50 + 20 - 10), 60 - (50 + 60 - 30)
    np.testing.assert_allclose(synergy_excess(found, "bliss")[0], [[12, 6], [-5, -20]])
    np.testing.assert_allclose(synergy_excess(found, "hsa")[0], [[20, 10], [5, 0]])
    assert synergy_scores(found, "bliss")[0] == pytest.approx(-1.75)
    assert synergy_scores(found, "hsa")[0] == pytest.approx(8.75)


@pytest.mark.parametrize(("end", "slope", "ec50"), [(100, 1, 1), (70, 0.8, 3), (95, 2.5, 0.4)])
def test_a_drug_with_itself_has_no_loewe_synergy(end: float, slope: float, ec50: float) -> None:
    measured = hill(DOSES_UM[:, None] + DOSES_UM[None, :], end, slope, ec50)
    excess = synergy_excess(matrices(measured), "loewe")
    np.testing.assert_allclose(excess, 0, atol=1e-3)
    # ... while Bliss sees what steepness does.
    assert np.abs(synergy_excess(matrices(measured), "bliss")).max() > 3


def test_loewe_is_the_synergy_packages() -> None:
    first, second = hill(DOSES_UM, 90, 1.2, 1.0), hill(DOSES_UM, 60, 0.8, 2.0)
    # Expected inhibition by synergy 1.0.0, Loewe(mode="delta_hsa") with these curves. The
    # tolerance is that of its own search; the last two rows are beyond the weaker drug's end.
    reference = [
        [9.4757, 14.7271, 24.7791, 36.5323, 47.7767],
        [19.5024, 23.0510, 30.5514, 39.8902, 49.2689],
        [45.3316, 45.9380, 47.6253, 50.5117, 54.3381],
        [71.0014] * 5,
        [84.6584] * 5,
    ]
    found = expected_loewe(matrices(bliss_matrix(first, second)))
    np.testing.assert_allclose(found[0], reference, atol=5e-4)


@pytest.mark.parametrize("ec50", [0.2, 3, 300])
def test_drugs_that_leave_each_others_potency_alone_have_no_zip_synergy(ec50: float) -> None:
    first, second = hill(DOSES_UM, 100, 1.2, 1.0), hill(DOSES_UM, 100, 0.7, ec50)
    excess = synergy_excess(matrices(bliss_matrix(first, second)), "zip")
    np.testing.assert_allclose(excess, 0, atol=1e-3)


def test_a_drug_made_more_potent_by_the_other_has_zip_synergy_as_by_definition() -> None:
    first, second = hill(DOSES_UM, 100, 1, 1.0), hill(DOSES_UM, 100, 1, 2.0)
    shift = np.where(DOSES_UM > 0, 4.0, 1.0)
    measured = np.stack([hill(DOSES_UM, 100, 1, 1 / s) for s in shift], axis=1)
    measured = measured + second[None, :] - measured * second[None, :] / 100
    found = matrices(measured)
    fitted = _fitted_by_scipy(measured, first, second)
    expected = fitted - bliss_matrix(first, second)[1:, 1:]
    np.testing.assert_allclose(synergy_excess(found, "zip")[0], expected, atol=0.02)
    assert synergy_scores(found, "zip")[0] > 5
    assert synergy_scores(found, "bliss")[0] > 5


def _fitted_by_scipy(measured: Floats, first: Floats, second: Floats) -> Floats:
    """ZIP's fitted surface, written a second time: a curve fit for each slice."""

    def fit(y: Floats, start: float) -> Floats:
        def curve(x: Floats, log_ec50: float, slope: float) -> Floats:
            return np.asarray(start + (100 - start) / (1 + 10 ** (slope * (log_ec50 - x))))

        x = logs(DOSES_UM)[1:]
        (ec50, slope), *_ = curve_fit(curve, x, y, p0=(-6, 1), bounds=([-12, 0.1], [0, 8]))
        return curve(x, float(ec50), float(slope))

    columns = [fit(measured[1:, j], second[j]) for j in range(1, 6)]
    rows = [fit(measured[i, 1:], first[i]) for i in range(1, 6)]
    return np.asarray((np.stack(columns, axis=1) + np.stack(rows)) / 2)


@pytest.mark.parametrize("score", SCORES)
def test_more_inhibition_than_the_best_of_all_is_synergy_by_every_score(
    score: SynergyScore,
) -> None:
    first, second = hill(DOSES_UM, 60, 1, 1), hill(DOSES_UM, 50, 1, 1)
    more, less = (bliss_matrix(first, second) for _ in range(2))
    more[1:, 1:] = 95
    less[1:, 1:] = 0
    high, low = synergy_scores(matrices(more, less), score)
    assert high > 10
    assert low < -10


@pytest.mark.parametrize("score", SCORES)
def test_the_order_of_the_drugs_does_not_matter(score: SynergyScore) -> None:
    measured = np.random.default_rng(1).uniform(-10, 100, (6, 6))
    one, other = synergy_scores(matrices(measured, measured.T), score)
    assert one == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("score", SCORES)
def test_wells_that_are_not_there_are_left_out(score: SynergyScore) -> None:
    # As DECREASE has them: one dose of the first drug is combined with all of the second.
    first, second = hill(DOSES_UM, 100, 1, 1), hill(DOSES_UM, 100, 1, 2)
    sparse = bliss_matrix(first, second)
    sparse[1:, 1:] = np.nan
    sparse[3, 1:] = bliss_matrix(first, second)[3, 1:] + 7
    found = synergy_scores(matrices(sparse), score)
    if score == "zip":
        # Its columns hold one well, which is no curve.
        assert np.isnan(found[0])
    else:
        whole = np.isfinite(synergy_excess(matrices(sparse), score)[0])
        assert whole.sum() == 5
        assert np.isfinite(found[0])
    if score == "bliss":
        assert found[0] == pytest.approx(7)


def test_curves_need_three_doses() -> None:
    measured = np.array([[0, 20, 60], [10, 40, 70], [50, 55, 60.0]])
    found = matrices(measured, doses=np.array([0, 1, 10.0]))
    assert np.isnan(synergy_scores(found, "loewe")[0])
    assert np.isnan(synergy_scores(found, "zip")[0])


def test_doses_that_do_not_begin_with_none_and_rise_are_refused() -> None:
    x = np.array([[-7.0, -6.0]])
    with pytest.raises(ValueError, match="begin with none"):
        DoseMatrices(x, x, np.zeros((1, 2, 2)))
    x = np.array([[-np.inf, -6.0]])
    with pytest.raises(ValueError, match="shape"):
        DoseMatrices(x, x, np.zeros((1, 2, 3)))

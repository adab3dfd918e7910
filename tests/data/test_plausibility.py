from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.dataset import kind_named as kind_of
from combo_lightning.data.plausibility import CHECKS, Plausibility
from combo_lightning.errors import InputError

Numbers = npt.NDArray[np.float64]


def look(
    kind: str,
    response: Numbers | Sequence[float],
    doses: Numbers | None = None,
    accept: Sequence[str] = (),
    **more: Any,
) -> None:
    """Judge measurements of one drug, in two batches."""
    values = np.asarray(response, dtype=np.float32)
    table = pa.table(
        {
            "cell_id": [f"L{i % 7}" for i in range(len(values))],
            "drug_1": ["x"] * len(values),
            "log10_molar_1": pa.array(
                np.full(len(values), np.nan) if doses is None else doses,
                pa.float32(),
                from_pandas=True,
            ),
            "response": values,
            **more,
        }
    )
    checks = Plausibility(kind_of(kind), 1, accept)
    half = len(values) // 2
    checks.see(table.slice(0, half))
    checks.see(table.slice(half))
    checks.judge()


LOG_MOLAR = np.random.default_rng(3).normal(-5.5, 1.0, 500)
MICROMOLAR = 10 ** (LOG_MOLAR + 6)


@pytest.mark.parametrize(
    ("kind", "values", "found"),
    [
        ("ic50", np.log(MICROMOLAR), r"look like .*lnuM.*--response_unit.*\[unit\]"),
        ("ic50", -LOG_MOLAR, "look like pIC50"),
        ("gi50", MICROMOLAR, "look like .*uM"),
        ("ic50", MICROMOLAR * 1000, "look like .*nM"),
        (
            "growth",
            np.linspace(-0.9, 1.2, 100),
            "look like fractions, and percent growth",
        ),
        ("viability", np.linspace(0, 1.1, 100), "look like fractions"),
        ("auc", np.linspace(20, 99, 100), "look like percent"),
        ("zscore", np.linspace(40, 45, 100), "Z-scores have about 0"),
    ],
)
def test_a_likely_wrong_unit_is_refused_and_can_be_intended(
    kind: str, values: Numbers, found: str
) -> None:
    doses = np.linspace(-8, -4, len(values)) if kind_of(kind).per_dose else None
    values = values[::-1] if kind_of(kind).per_dose else values
    with pytest.raises(InputError, match=found):
        look(kind, values, doses)
    look(kind, values, doses, accept=["unit", "range"])


def test_potencies_of_another_unit_are_told_of_few_values() -> None:
    with pytest.raises(InputError, match=r"look like .*uM or nM.*--response_unit"):
        look("ic50", np.array([3.0, 40.0]))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("ic50", LOG_MOLAR),
        ("gi50", np.full(100, -4.0)),
        ("auc", np.linspace(0.3, 1.05, 100)),
        ("zscore", np.random.default_rng(1).normal(size=200)),
        ("combo_score", np.linspace(-1300, 1100, 50)),
        ("min_growth", np.linspace(-99, 130, 50)),
        ("other", np.linspace(-1e6, 1e6, 50)),
        ("ic50", np.array([-2.5, -12.0, -1.5])),  # few, of potent and of weak compounds
        ("auc", np.array([0.1, 0.2])),  # too few to tell
    ],
)
def test_ordinary_measurements_pass(kind: str, values: Numbers) -> None:
    look(kind, values)


def test_a_potent_drug_at_low_doses_beside_a_weak_one_at_high_ones_is_no_wrong_direction() -> None:
    doses = np.tile([-9.0, -8.0, -5.0, -4.0], 25)
    drugs = np.tile(["potent", "potent", "weak", "weak"], 25)
    left = np.tile([30.0, 10.0, 100.0, 95.0], 25) + np.random.default_rng(1).normal(0, 3, 100)
    look("viability", left, doses, drug_1=drugs)
    with pytest.raises(
        InputError, match=r"rises with the dose .*\(in a table of your own, .*unit\)"
    ):
        look("viability", 100 - left, doses, drug_1=drugs)


def test_a_response_that_runs_the_wrong_way_is_refused() -> None:
    doses = np.tile([-8.0, -7.0, -6.0, -5.0], 25)
    inhibition = 20 * (doses + 8) + np.random.default_rng(1).normal(0, 5, 100)
    with pytest.raises(InputError, match=r"growth rises with the dose .* looks like inhibition"):
        look("growth", inhibition, doses)
    look("growth", inhibition, doses, accept=["direction"])
    look("growth", 100 - inhibition, doses)
    with pytest.raises(InputError, match="look like an area above the curve"):
        look("auc", np.random.default_rng(1).beta(1, 8, 100))


def test_impossible_values_and_doses_name_their_rows() -> None:
    values = np.linspace(100, -80, 40)
    doses = np.linspace(-8, -4, 40)
    places = pa.array(range(2, 42))
    bad = values.copy()
    bad[[5, 30]] = -180, 4000
    message = r"2 of 40 growth values cannot be .* line 7 \(L5, x at -7.49: -180\); line 32"
    with pytest.raises(InputError, match=message):
        look("growth", bad, doses, place=places)
    look("growth", bad, doses, accept=["range"])
    with pytest.raises(InputError, match=r"30 rows have doses that no well holds .*--dose_unit"):
        look("growth", values, doses + 6)
    with pytest.raises(InputError, match=r"such as row 1 \(L0, x at -14: 100\)"):
        look("growth", values, doses - 6)


def test_a_check_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="--accept speed: there is no such check; unit, range"):
        Plausibility(kind_of("auc"), 1, ["speed"])


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=60))
def test_whatever_the_values_all_of_it_can_be_accepted(values: list[float]) -> None:
    look("ic50", values, accept=CHECKS)


def test_plates_that_drift_are_named_and_many_are_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    draw = np.random.default_rng(5)
    for plates in (8, 20):
        plate = draw.integers(plates, size=600)
        values = 60 + draw.normal(0, 8, 600)
        shifted = values + np.where(plate == 4, 35, 0)
        doses = np.full(600, -6.0)
        names = pa.array([f"P{p}" for p in plate])
        look("growth", values, doses, plate=names)
        assert "drift" not in caplog.text
        if plates == 8:
            with pytest.raises(InputError, match=r"1 of 8 plates .*'P4' by \+3\d\.?\d* over"):
                look("growth", shifted, doses, plate=names)
            look("growth", shifted, doses, plate=names, accept=["plates"])
            assert "drift" not in caplog.text
        else:
            look("growth", shifted, doses, plate=names)
            assert "1 of 20 plates drift from others that hold the same: 'P4' by" in caplog.text

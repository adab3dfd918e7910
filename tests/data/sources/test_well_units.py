import numpy as np
import pytest

from combo_lightning.data.sources.well_units import WellMeasure, in_percent
from combo_lightning.errors import InputError

UNTREATED = np.array([True, False, False])


@pytest.mark.parametrize(
    ("values", "stated", "expected"),
    [
        ([3, 40, 90], None, [97, 60, 10]),
        ([97, 60, 10], None, [97, 60, 10]),
        ([97, 60, 10], "viability", [97, 60, 10]),
        ([50, 40, 90], "inhibition", [50, 60, 10]),
        ([np.nan, 40, np.nan], "inhibition", [np.nan, 60, np.nan]),
    ],
)
def test_wells_become_viability(
    values: list[float], stated: WellMeasure | None, expected: list[float]
) -> None:
    found = in_percent(np.array(values), UNTREATED, (stated, "viability"), "--x")
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("values", "stated", "message"),
    [
        ([3, 40, 90], "viability", "untreated wells read 3 .*as in inhibition"),
        ([97, 40, 90], "inhibition", "untreated wells read 97 .*as in viability"),
        ([3, 40, 90], "growth", "as in inhibition"),
        ([50, 40, 90], None, "untreated wells read 50 .*--wells"),
        ([np.nan, 40, 90], None, "there are no untreated wells"),
        ([0.01, 0.4, 1.1], "viability", "look like fractions"),
    ],
)
def test_what_cannot_be_is_refused(
    values: list[float], stated: WellMeasure | None, message: str
) -> None:
    with pytest.raises(InputError, match=rf"--x: .*{message}"):
        in_percent(np.array(values), UNTREATED, (stated, "viability"), "--x")


def test_growth_is_made_of_growth_alone() -> None:
    values = np.array([97, 60, -10.0])
    found = in_percent(values, UNTREATED, ("growth", "growth"), "--x")
    np.testing.assert_allclose(found, values)
    with pytest.raises(InputError, match=r"--x: viability cannot be .*growth.*time_zero"):
        in_percent(values, UNTREATED, (None, "growth"), "--x")

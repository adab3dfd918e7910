import numpy as np
import pytest

from combo_lightning.data.plates import drifting_plates


def draw_plates(shift: float, noise: float = 5.0) -> tuple[np.ndarray, ...]:
    """Measure 20 treatments in 10 lines twice, on random plates; the third plate is shifted."""
    draw = np.random.default_rng(2)
    line, treatment = (x.ravel() for x in np.meshgrid(range(10), range(20)))
    line, treatment = np.tile(line, 2), np.tile(treatment, 2)
    plate = draw.integers(8, size=len(line))
    own = draw.normal(0, 30, 10)[line] + draw.normal(0, 30, 20)[treatment]
    values = 50 + own + draw.normal(0, noise, len(line)) + np.where(plate == 3, shift, 0)
    return values, plate, line, treatment


@pytest.mark.parametrize("shift", [-20.0, 20.0, 60.0])
def test_a_shifted_plate_is_found_with_its_shift(shift: float) -> None:
    values, plate, line, treatment = draw_plates(shift)
    (drift,) = drifting_plates(values, plate, line * 20 + treatment)
    assert drift.plate == 3
    assert drift.shift == pytest.approx(shift, abs=3)
    assert 40 < drift.rows < (plate == 3).sum()  # some of it no other plate holds


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_noise_is_no_drift(shift: float) -> None:
    values, plate, line, treatment = draw_plates(shift)
    assert drifting_plates(values, plate, line * 20 + treatment) == []


def test_what_stands_on_one_plate_tells_nothing() -> None:
    values, plate, line, treatment = draw_plates(80.0)
    assert drifting_plates(values, plate, plate) == []
    assert drifting_plates(values, plate, np.arange(len(values))) == []
    assert drifting_plates(values[:0], plate[:0], plate[:0]) == []
    # A line under a treatment differs from what both do elsewhere: no drift of its plate.
    nested = line * 3 + treatment % 3
    assert drifting_plates(values + 50 * (nested % 5), nested, line * 20 + treatment) == []

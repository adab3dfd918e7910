"""What groups tell each other of a round is read as it was written, or not at all."""

import numpy as np
import pytest

from combo_lightning.ltfb.channel import ChannelError
from combo_lightning.ltfb.meeting import read_note, write_note
from combo_lightning.ltfb.tournament import Standing

SEAL = {"token": "a" * 32, "round": 3, "group": 1}
STANDING = Standing.from_rows({"mse": np.array([0.1, np.nan, 1e300])}, age=2)


def test_a_note_comes_back_bit_for_bit() -> None:
    found = read_note(write_note(STANDING, SEAL, [0, 2]), SEAL, 0)
    assert found.age == 2
    assert found.rows is not None
    np.testing.assert_array_equal(found.rows["mse"], np.array([0.1, np.nan, 1e300]))


@pytest.mark.parametrize(("name", "value"), [("token", "b" * 32), ("round", 4), ("group", 2)])
def test_a_note_of_another_launch_round_or_group_is_refused(name: str, value: object) -> None:
    with pytest.raises(ChannelError, match=f"a note does not fit: its {name}"):
        read_note(write_note(STANDING, SEAL, [0]), {**SEAL, name: value}, 0)


def test_a_group_that_does_not_wait_for_this_one_is_not_met() -> None:
    with pytest.raises(ChannelError, match="group 1 does not wait for group 3"):
        read_note(write_note(STANDING, SEAL, [0, 2]), SEAL, 3)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": {"mse": "no"}}'])
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(ChannelError, match="a note cannot be read"):
        read_note(text, SEAL, 0)

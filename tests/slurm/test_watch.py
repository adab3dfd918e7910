"""Processes are told to save early enough."""

import time
from pathlib import Path

import pytest

from combo_lightning.cli.slurm_run import is_nearly_over
from combo_lightning.ltfb.population import write_json
from combo_lightning.runs import stopping
from combo_lightning.slurm.watch import AGREEMENT_STEPS, Look, margin_seconds


def test_the_margin_grows_with_the_longest_pause_and_the_steps_until_an_agreement() -> None:
    assert margin_seconds(0, None) == pytest.approx(30)
    assert margin_seconds(20, 0.5) == pytest.approx(30 + 60 + 20)


def test_the_slowest_of_all_groups_decides(tmp_path: Path) -> None:
    folders = [tmp_path / "group_0", tmp_path / "group_1"]
    look = Look("RUNNING", time.time() + 100, ("node1",))
    assert not is_nearly_over(look, folders)
    status = {"longest_pause_seconds": 40.0, "steps_per_second": None}
    write_json(folders[1] / "status.json", status)
    assert is_nearly_over(look, folders)
    assert not is_nearly_over(Look("RUNNING", None, ("node1",)), folders)
    # A job that is being cancelled ends now.
    assert not is_nearly_over(Look("COMPLETING", time.time(), ("node1",)), folders)


def test_ranks_agree_as_often_as_the_watch_takes_them_to() -> None:
    # The rooms do not import each other.
    assert AGREEMENT_STEPS == stopping.EVERY

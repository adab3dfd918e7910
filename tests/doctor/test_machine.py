"""What this machine has is told as it is."""

import os
from pathlib import Path

import torch

from combo_lightning.data.dataset import read_dataset
from combo_lightning.doctor.machine import _ranges, examine_data, examine_machine
from combo_lightning.precision import bf16_unit


def test_this_machine_is_described() -> None:
    machine = examine_machine()
    assert machine.torch == torch.__version__
    assert machine.num_cores == len(os.sched_getaffinity(0)) <= machine.all_cores
    assert machine.threads == os.environ.get("OMP_NUM_THREADS", "")
    assert machine.unit == (bf16_unit() or "")
    assert machine.precision == ("bf16-mixed" if machine.unit else "32-true")
    if not machine.gpus and machine.unit:
        assert machine.unit in machine.processor


def test_processors_are_written_as_ranges() -> None:
    assert _ranges([]) == ""
    assert _ranges([3]) == "3"
    assert _ranges([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"


def test_a_data_set_has_the_fingerprint_that_info_shows(small_screen: Path) -> None:
    seen = examine_data(small_screen)
    assert seen.fingerprint == read_dataset(small_screen).fingerprint
    assert seen.megabytes > 0.01
    assert seen.error == ""


def test_a_data_set_that_cannot_be_read_says_why(small_screen: Path, tmp_path: Path) -> None:
    assert f"{tmp_path} is no data set" in examine_data(tmp_path).error
    (tmp_path / "dataset.json").write_bytes((small_screen / "dataset.json").read_bytes())
    assert ".parquet: No such file or directory" in examine_data(tmp_path).error

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from combo_lightning.errors import InputError
from combo_lightning.parallel.shards import SHARDS
from combo_lightning.runs.checkpointing import AtomicCheckpointIO, remove_broken_off


def test_a_checkpoint_replaces_the_one_before_and_leaves_nothing_aside(tmp_path: Path) -> None:
    io, path = AtomicCheckpointIO(), tmp_path / "deep" / "last.ckpt"
    for value in (1, 2):
        io.save_checkpoint({"x": torch.tensor(value)}, path)
    assert io.load_checkpoint(path)["x"] == 2
    assert [p.name for p in path.parent.iterdir()] == ["last.ckpt"]


def test_a_full_disk_leaves_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    io, path = AtomicCheckpointIO(), tmp_path / "last.ckpt"
    io.save_checkpoint({"x": torch.tensor(1)}, path)

    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=rf"No space left on device: '{path}'"):
        io.save_checkpoint({"x": torch.tensor(2)}, path)
    assert io.load_checkpoint(path)["x"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_missing_checkpoint_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "last.ckpt")


def test_a_file_that_takes_the_place_of_a_sharded_checkpoint_removes_its_shards(
    tmp_path: Path,
) -> None:
    for name in (".last.ckpt.2-a.shards", ".best.ckpt.2-b.shards"):
        (tmp_path / name).mkdir()
    AtomicCheckpointIO().save_checkpoint({"x": torch.tensor(1)}, tmp_path / "last.ckpt")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".best.ckpt.2-b.shards", "last.ckpt"]


def test_what_a_killed_save_has_left_is_removed_and_what_a_checkpoint_names_stays(
    tmp_path: Path,
) -> None:
    named, renamed = ".last.ckpt.2-a.shards", ".best.ckpt.2-b.shards"
    torch.save({SHARDS: named}, tmp_path / "last.ckpt")
    # A file that someone has given another name still needs its shards.
    torch.save({SHARDS: renamed}, tmp_path / "of-monday.ckpt")
    for name in (named, renamed, ".last.ckpt.4-c.shards", ".best.ckpt.4-d.shards"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__0_0.distcp").touch()
    (tmp_path / ".best.ckpt.partial").touch()
    remove_broken_off(tmp_path)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == sorted([named, renamed, "last.ckpt", "of-monday.ckpt"])


def test_no_shards_are_removed_beside_a_checkpoint_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"damaged")
    (tmp_path / ".last.ckpt.2-a.shards").mkdir()
    remove_broken_off(tmp_path)
    assert (tmp_path / ".last.ckpt.2-a.shards").is_dir()

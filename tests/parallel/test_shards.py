"""Folders of shards: only tensors and their table of contents are ever read."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import save

from combo_lightning.errors import InputError
from combo_lightning.parallel.shards import (
    SHARDS,
    flatten,
    read_whole,
    remove_other_shards,
    shard_folder,
    unflatten,
)

CHECKPOINT: dict[str, Any] = {
    "state_dict": {"network.a.weight": torch.rand(3, 2), "network.b": torch.rand(4)},
    "optimizer_states": [
        {
            "state": {
                0: {"step": torch.tensor(3.0), "exp_avg": torch.rand(3, 2)},
                1: {"step": torch.tensor(3.0), "exp_avg": torch.rand(4)},
            },
            "param_groups": [
                {"lr": 0.1, "params": [0, 1], "param_names": ["network.a.weight", "network.b"]}
            ],
        }
    ],
    "epoch": 2,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _, tensors = flatten(CHECKPOINT)
    out = tmp_path / ".last.ckpt.1-a.shards"
    with pytest.warns(UserWarning, match="torch.distributed is disabled"):
        save(tensors, storage_writer=FileSystemWriter(out), no_dist=True)
    return out


def test_a_checkpoint_comes_back_from_its_shards(folder: Path) -> None:
    rest, _ = flatten(CHECKPOINT)
    found = unflatten({**rest, SHARDS: folder.name}, read_whole(folder))
    assert found.keys() == CHECKPOINT.keys()
    for name, weight in CHECKPOINT["state_dict"].items():
        assert torch.equal(found["state_dict"][name], weight)
    mine, theirs = found["optimizer_states"][0], CHECKPOINT["optimizer_states"][0]
    assert mine["param_groups"] == theirs["param_groups"]
    for index, moments in theirs["state"].items():
        for name, value in moments.items():
            assert torch.equal(mine["state"][index][name], value)


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("this code ran",))


def test_a_table_of_contents_that_holds_code_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / ".metadata").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match=r"names builtins.print"):
        read_whole(folder)
    assert "this code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other"])
def test_a_damaged_folder_is_one_message(folder: Path, damage: str) -> None:
    table = folder / ".metadata"
    if damage == "missing":
        table.unlink()
    elif damage == "empty":
        table.write_bytes(b"")
    elif damage == "cut":
        for file in folder.glob("*.distcp"):
            file.write_bytes(file.read_bytes()[:100])
    else:
        table.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match=str(folder.name)):
        read_whole(folder)


@pytest.mark.parametrize("name", ["../else.shards", "/etc.shards", "last.ckpt", 7])
def test_a_name_that_leads_elsewhere_is_refused(name: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no plain name"):
        shard_folder(tmp_path / "last.ckpt", {SHARDS: name})


def test_only_the_folders_of_the_same_checkpoint_are_removed(tmp_path: Path) -> None:
    for name in (".last.ckpt.1-a.shards", ".last.ckpt.2-b.shards", ".best.ckpt.1-a.shards"):
        (tmp_path / name).mkdir()
    remove_other_shards(tmp_path / "last.ckpt", ".last.ckpt.2-b.shards")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".best.ckpt.1-a.shards",
        ".last.ckpt.2-b.shards",
    ]

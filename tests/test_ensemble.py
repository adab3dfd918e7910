"""Models become one checkpoint: what it holds, what it refuses, what it needs beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from combo_lightning.checkpoint import load_checkpoint
from combo_lightning.data import catalog
from combo_lightning.ensemble import read_weights, write_champion, write_ensemble
from combo_lightning.errors import InputError
from combo_lightning.inference.predictor import Predictor
from tests.inference.models import make_checkpoint, make_data, make_ensemble, make_members


def change(path: Path, out: Path, edit: Callable[[Any], None]) -> Path:
    """Write a checkpoint with another content."""
    checkpoint = torch.load(path, weights_only=True)
    edit(checkpoint)
    torch.save(checkpoint, out)
    return out


def test_it_holds_the_content_once_and_weights_alone(small_screen: Path, tmp_path: Path) -> None:
    members = make_members(small_screen, tmp_path, [1, 2])
    trained = [
        change(
            path,
            tmp_path / f"trained-{path.name}",
            lambda c: c.update(optimizer_states=[{"state": torch.zeros(9999)}], loops={"fit": 1}),
        )
        for path in members
    ]
    out = tmp_path / "deep" / "ensemble.ckpt"
    write_ensemble(trained, out, ["group_0", "group_1"])
    checkpoint = torch.load(out, weights_only=True)
    assert checkpoint.keys() == {"combo_lightning", "state_dict", "ensemble"}
    names, state_dicts, which = read_weights(checkpoint)
    assert (names, which) == (("group_0", "group_1"), (0, 1))
    for found, path in zip(state_dicts, members, strict=True):
        wanted = load_checkpoint(path)["state_dict"]
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert [p.name for p in out.parent.iterdir()] == ["ensemble.ckpt"]


def test_equal_members_stand_once_and_count_each(small_screen: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("all", "two")]
    for folder in folders:
        folder.mkdir()
    out, _ = make_ensemble(small_screen, folders[0], [1, 2, 1, 1])
    two, _ = make_ensemble(small_screen, folders[1], [1, 2])
    assert read_weights(load_checkpoint(out)).which == (0, 1, 0, 0)
    assert out.stat().st_size == pytest.approx(two.stat().st_size, rel=0.01)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c["combo_lightning"]["network"].update(join="slots"), "network"),
        (lambda c: c["combo_lightning"]["catalog"].update(data_fingerprint="x"), "data set is x"),
        (lambda c: c["combo_lightning"]["catalog"].update(train_fingerprint="x"), "training rows"),
        (
            lambda c: c["combo_lightning"]["catalog"]["response"].update(name="growth"),
            "response is growth and ",
        ),
        (
            lambda c: c["combo_lightning"]["catalog"]["response_scale"].update(scale=2.5),
            "transformed in other ways",
        ),
        (
            lambda c: c["combo_lightning"]["catalog"]["cells"]["blocks"][0]["mean"].add_(1.0),
            "transformed in other ways",
        ),
        (lambda c: c["state_dict"].pop("network.join.bias"), "weights have other shapes"),
        (lambda c: c.pop("combo_lightning"), "was not written by combo-lightning"),
    ],
)
def test_a_member_of_another_kind_is_refused_and_named(
    small_screen: Path, tmp_path: Path, edit: Callable[[Any], None], message: str
) -> None:
    first, second = make_members(small_screen, tmp_path, [1, 2])
    other = change(second, tmp_path / "other.ckpt", edit)
    out = tmp_path / "ensemble.ckpt"
    with pytest.raises(InputError, match=message) as refused:
        write_ensemble([first, other], out, ["a", "b"])
    assert str(other) in str(refused.value)
    assert not out.exists()


def test_names_and_members_are_counted(small_screen: Path, tmp_path: Path) -> None:
    ensemble, members = make_ensemble(small_screen, tmp_path, [1, 2])
    out = tmp_path / "other.ckpt"
    for names in (["a"], ["a", "a"]):
        with pytest.raises(InputError, match="each with a name of its own"):
            write_ensemble(members, out, names)
    with pytest.raises(InputError, match="one member or more"):
        write_ensemble([], out, [])
    with pytest.raises(InputError, match="is an ensemble itself"):
        write_ensemble([members[0], ensemble], out, ["a", "b"])
    with pytest.raises(InputError, match="there is no checkpoint"):
        write_ensemble([members[0], tmp_path / "gone.ckpt"], out, ["a", "b"])


@pytest.mark.parametrize(
    "edit",
    [
        lambda e: e.update(which=[0]),
        lambda e: e.update(which=[0, 2]),
        lambda e: e.pop("names"),
        lambda e: e.update(names=[], which=[], state_dicts=[]),
    ],
)
def test_a_damaged_ensemble_is_refused(
    small_screen: Path, tmp_path: Path, edit: Callable[[Any], None]
) -> None:
    ensemble, _ = make_ensemble(small_screen, tmp_path, [1, 2])
    change(ensemble, ensemble, lambda c: edit(c["ensemble"]))
    with pytest.raises(InputError, match="entry 'ensemble' is damaged"):
        Predictor.load(ensemble)


def test_large_features_are_found_from_another_folder(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    with patch.object(catalog, "LARGE_BYTES", 1):
        members = []
        for group, seed in enumerate((1, 2)):
            folder = tmp_path / f"group_{group}" / "checkpoints"
            members.append(make_checkpoint(data, folder / "a.ckpt", folder, seed=seed))
    alone = tmp_path / "alone"
    write_ensemble(members, alone / "ensemble.ckpt", ["a", "b"])
    write_champion(members[1], alone / "champion.ckpt")
    features = [p for p in alone.iterdir() if p.suffix == ".npy"]
    assert len(features) == 2
    cells, drugs = np.array([0, 1]), np.array([[0, 1], [2, 3]])
    wanted = [Predictor.load(path).predict(cells, drugs) for path in members]
    for path in members:
        path.parent.rename(path.parent.with_name("gone"))
    ensemble, champion = (Predictor.load(alone / f"{n}.ckpt") for n in ("ensemble", "champion"))
    np.testing.assert_allclose(ensemble.predict(cells, drugs), np.mean(wanted, axis=0))
    np.testing.assert_array_equal(champion.predict(cells, drugs), wanted[1])
    features[0].unlink()
    with pytest.raises(InputError, match=f"needs {features[0].name} beside it"):
        write_champion(alone / "champion.ckpt", tmp_path / "elsewhere" / "champion.ckpt")


def test_the_champion_is_the_members_whole_checkpoint(small_screen: Path, tmp_path: Path) -> None:
    (member,) = make_members(small_screen, tmp_path, [3])
    change(member, member, lambda c: c.update(optimizer_states=[{"x": torch.ones(3)}], epoch=4))
    write_champion(member, tmp_path / "champion.ckpt")
    found, wanted = (load_checkpoint(p) for p in (tmp_path / "champion.ckpt", member))
    assert found.keys() == wanted.keys()
    assert found["epoch"] == 4
    assert torch.equal(found["optimizer_states"][0]["x"], torch.ones(3))
    for name, weight in wanted["state_dict"].items():
        assert torch.equal(found["state_dict"][name], weight)

"""A checkpoint of any layout goes on, and predicts, under any other."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from combo_lightning.checkpoint import load_checkpoint
from combo_lightning.ensemble import read_weights, write_champion, write_ensemble
from combo_lightning.errors import InputError
from combo_lightning.inference.predictor import Predictor
from tests.conftest import Outcome
from tests.parallel.ranks import Run, fit, run_on_ranks
from tests.parallel.test_parallel_equals_one import ALL_TERMS, FP32

pytestmark = pytest.mark.slow

LAYOUTS = {"one": 1, "ddp": 2, "fsdp": 2, "tp": 2, "tp_fsdp": 4}
SCHEDULE = {"name": "adamw", "schedule": "warmup_cosine", "table_weight_decay": 1.0}
# Saved in the middle of the first epoch, of 13 steps.
SAVED, STEPS = 6, 12


@pytest.fixture(scope="module")
def saved(
    small_screen: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Each layout's checkpoint after 6 of 12 steps, and what the whole run gave."""
    found = {}
    for layout, world in LAYOUTS.items():
        folder = tmp_path_factory.mktemp(layout)
        run = Run(
            str(small_screen), layout, world, STEPS, str(folder), ALL_TERMS, SCHEDULE,
            save_at=SAVED,
        )  # fmt: skip
        found[layout] = (folder / "mid.ckpt", run_on_ranks(world, folder, fit, run)[0])
    return found


@pytest.mark.parametrize("target", LAYOUTS)
@pytest.mark.parametrize("source", LAYOUTS)
def test_a_run_goes_on_in_another_layout(
    source: str,
    target: str,
    saved: dict[str, tuple[Path, dict[str, Any]]],
    small_screen: Path,
    tmp_path: Path,
) -> None:
    checkpoint, _ = saved[source]
    _, whole = saved["one"]
    world = LAYOUTS[target]
    run = Run(
        str(small_screen), target, world, STEPS, str(tmp_path), ALL_TERMS, SCHEDULE,
        resume=str(checkpoint),
    )  # fmt: skip
    for rank in run_on_ranks(world, tmp_path, fit, run):
        assert rank["losses"] == pytest.approx(whole["losses"][SAVED:], rel=FP32, abs=FP32)
        for name, weight in whole["weights"].items():
            torch.testing.assert_close(
                rank["weights"][name], weight, rtol=FP32, atol=FP32, msg=name
            )
        assert rank["before"]["val_r2"] == pytest.approx(
            _validated(saved, small_screen, tmp_path), rel=1e-4
        )


_KNOWN: dict[str, float] = {}


def _validated(saved: Any, small_screen: Path, tmp_path: Path) -> float:
    """Score the one-process checkpoint in one process."""
    if not _KNOWN:
        folder = tmp_path / "alone"
        run = Run(
            str(small_screen), "one", 1, STEPS, str(folder), ALL_TERMS, SCHEDULE,
            resume=str(saved["one"][0]),
        )  # fmt: skip
        _KNOWN["r2"] = run_on_ranks(1, folder, fit, run)[0]["before"]["val_r2"]
    return _KNOWN["r2"]


@pytest.mark.parametrize("source", LAYOUTS)
def test_predictions_from_every_checkpoint_are_those_of_one_process(
    source: str, saved: dict[str, tuple[Path, dict[str, Any]]]
) -> None:
    predictors = [Predictor.load(saved[layout][0]) for layout in (source, "one")]
    weights = [p.network.state_dict() for p in predictors]
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[1].items():
        torch.testing.assert_close(weights[0][name], weight, rtol=FP32, atol=FP32, msg=name)


@pytest.mark.parametrize("source", ["fsdp", "tp_fsdp"])
def test_a_sharded_checkpoint_reads_as_one_of_one_process(
    source: str, saved: dict[str, tuple[Path, dict[str, Any]]]
) -> None:
    mine, theirs = (load_checkpoint(saved[layout][0]) for layout in (source, "one"))
    assert mine.keys() == theirs.keys()
    (optimizer,), (expected,) = mine["optimizer_states"], theirs["optimizer_states"]
    assert optimizer["param_groups"] == expected["param_groups"]
    assert optimizer["state"].keys() == expected["state"].keys()
    for index, moments in expected["state"].items():
        for name, value in moments.items():
            assert optimizer["state"][index][name].shape == value.shape


def test_consolidating_gives_one_file_that_predicts_and_goes_on(
    saved: dict[str, tuple[Path, dict[str, Any]]],
    small_screen: Path,
    tmp_path: Path,
    run_here: Callable[..., Outcome],
) -> None:
    checkpoint, _ = saved["tp_fsdp"]
    one_file = tmp_path / "alone" / "whole.ckpt"
    words = ("checkpoint", "consolidate", f"--ckpt_path={checkpoint}", f"--out={one_file}")
    outcome = run_here(*words)
    assert outcome.code == 0, outcome.output
    assert [p.name for p in one_file.parent.iterdir()] == ["whole.ckpt"]
    run = Run(
        str(small_screen), "ddp", 2, STEPS, str(tmp_path), ALL_TERMS, SCHEDULE,
        resume=str(one_file),
    )  # fmt: skip
    _, whole = saved["one"]
    for rank in run_on_ranks(2, tmp_path, fit, run):
        assert rank["losses"] == pytest.approx(whole["losses"][SAVED:], rel=FP32, abs=FP32)
    again = run_here(*words)
    assert again.code == 2
    assert "is there already" in again.output


def test_champion_and_ensemble_are_whole_files_of_sharded_members(
    saved: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    members = [saved[layout][0] for layout in ("tp_fsdp", "one", "fsdp")]
    champion, ensemble = tmp_path / "champion.ckpt", tmp_path / "ensemble.ckpt"
    write_champion(members[0], champion)
    write_ensemble(members, ensemble, ["a", "b", "c"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["champion.ckpt", "ensemble.ckpt"]
    found = load_checkpoint(champion)
    assert found["optimizer_states"][0]["state"]
    weights = read_weights(load_checkpoint(ensemble))
    for place, member in enumerate(members):
        wanted = load_checkpoint(member)["state_dict"]
        mine = weights.state_dicts[weights.which[place]]
        assert mine.keys() == wanted.keys()
        assert all(torch.equal(mine[name], wanted[name]) for name in wanted)
    assert all(
        torch.equal(found["state_dict"][name], x)
        for name, x in load_checkpoint(members[0])["state_dict"].items()
    )


def test_a_checkpoint_without_its_shards_is_one_message(
    saved: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    checkpoint, _ = saved["fsdp"]
    moved = tmp_path / "moved.ckpt"
    shutil.copy2(checkpoint, moved)
    with pytest.raises(InputError, match="needs the folder of shards beside it"):
        load_checkpoint(moved)

"""Trainer groups of several ranks each: what a group adopts is all of the model, on all ranks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from combo_lightning.ltfb.record import read_rounds
from tests.ltfb.processes import Groups
from tests.parallel.ranks import Run, build

pytestmark = pytest.mark.slow

ROUND, STEPS = 10, 20


def train(run: Run, rates: list[float]) -> dict[str, Any]:
    """Train this rank of a group, whose batches and dropout are those of all groups.

    Returns:
        ``weights`` after each step from the round on, and ``moments`` at the round: the parts that
        are here; ``score`` of the group after the round.
    """
    import lightning.pytorch as pl

    from combo_lightning.data.splits import SplitConfig
    from combo_lightning.ltfb import LTFB
    from combo_lightning.ltfb.place import GroupPlace
    from combo_lightning.ltfb.scoring import score, tournament_batches
    from combo_lightning.parallel.gradients import local

    place = GroupPlace.from_environment()
    assert place is not None
    folder = place.group_folder
    run = replace(run, folder=str(folder), optimizer={"learning_rate": rates[place.group]})
    found: dict[str, Any] = {"weights": []}

    class Watch(pl.Callback):
        def on_train_batch_end(self, trainer: Any, task: Any, *_: Any) -> None:
            if trainer.global_step < ROUND:
                return
            here = {n: local(p).detach().clone() for n, p in task.named_parameters()}
            found["weights"].append(here)
            if trainer.global_step == ROUND:
                state = trainer.optimizers[0].state_dict()["state"]
                found["moments"] = {
                    (i, k): v.clone() for i, of in state.items() for k, v in of.items()
                }
                found["score"] = score(trainer, task, tournament_batches(trainer, task)).scores
                trainer.save_checkpoint(folder / "round.ckpt")

    ltfb = LTFB(every_n_train_steps=ROUND, save_every_n_rounds=0)
    trainer, task, data = build(run, ltfb, Watch())
    split = SplitConfig(
        kind="random", test_fraction=0.1, validation_fraction=0.1, tournament_fraction=0.1
    )
    data.split_config = split
    trainer.fit(task, datamodule=data)
    return found


def score_alone(run: Run) -> dict[str, float]:
    """Score a checkpoint in one fresh process."""
    from combo_lightning.checkpoint import load_checkpoint
    from combo_lightning.data.splits import SplitConfig
    from combo_lightning.ltfb.scoring import score, tournament_batches

    trainer, task, data = build(run)
    data.split_config = SplitConfig(
        kind="random", test_fraction=0.1, validation_fraction=0.1, tournament_fraction=0.1
    )
    data.setup("fit")
    trainer.datamodule = data  # type: ignore[attr-defined]
    task.trainer = trainer
    task.configure_model()
    task.load_state_dict(load_checkpoint(Path(str(run.resume)))["state_dict"])
    return dict(score(trainer, task, tournament_batches(trainer, task)).scores)


@pytest.mark.parametrize("layout", ["ddp", "fsdp", "tp"])
def test_a_loser_goes_on_exactly_as_the_winner(
    layout: str, small_screen: Path, tmp_path: Path
) -> None:
    run = Run(str(small_screen), layout, 2, STEPS, "", network={"dropout": 0.1})
    # All groups see the same batches and masks: whoever has the same model stays equal.
    rates = [1e-6, 1e-3, 1e-5, 3e-3]
    ranks = Groups(4, 2, tmp_path, train, run, rates).start().results(300)
    rounds = read_rounds(tmp_path)
    losers = {g: rounds[1, g].source for g in range(4) if rounds[1, g].adopted}
    assert len(losers) == 2
    for loser, winner in losers.items():
        for rank in range(2):
            mine, theirs = ranks[loser, rank], ranks[winner, rank]
            assert mine["moments"].keys() == theirs["moments"].keys()
            assert all(torch.equal(x, theirs["moments"][k]) for k, x in mine["moments"].items())
            assert len(mine["weights"]) == STEPS - ROUND + 1
            for step in range(len(mine["weights"])):
                assert_equal(mine["weights"][step], theirs["weights"][step])
        # Half of the weights differ between ranks where they are spread.
        spread = ranks[loser, 0]["weights"][0], ranks[loser, 1]["weights"][0]
        same = [torch.equal(spread[0][n], spread[1][n]) for n in spread[0]]
        assert all(same) == (layout == "ddp")
        alone = Run(
            str(small_screen),
            "one",
            1,
            1,
            str(tmp_path / "alone"),
            resume=str(tmp_path / f"group_{loser}" / "round.ckpt"),
            network={"dropout": 0.1},
        )
        fresh = Groups(1, 1, tmp_path / f"alone_{loser}", score_alone, alone).start().results()
        # fp32, in another order of sums where weights are cut.
        assert fresh[0, 0]["mse"] == pytest.approx(ranks[loser, 0]["score"]["mse"], rel=1e-5)


def assert_equal(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert mine.keys() == theirs.keys()
    for name, weight in mine.items():
        assert torch.equal(weight, theirs[name]), name

"""What a thread beside training writes is the state of the step at which it was asked to."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from combo_lightning.checkpoint import load_checkpoint
from tests.parallel.ranks import Run, build, run_on_ranks


class Live(pl.Callback):
    """A callback that, as Lightning's do, hands out the dict that it goes on to change."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {"scores": ["then"]}

    @property
    def state_key(self) -> str:
        return "live"

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 2:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "mid.ckpt")
            self.seen["scores"].append("later")
            trainer.optimizers[0].param_groups[0]["lr"] = 7.0


def _fit(run: Run) -> None:
    trainer, task, data = build(run, Live())
    trainer.fit(task, datamodule=data)


def test_what_changes_after_a_save_was_asked_for_is_not_in_it(
    small_screen: Path, tmp_path: Path
) -> None:
    run = Run(str(small_screen), "fsdp", world=2, steps=3, folder=str(tmp_path))
    run_on_ranks(2, tmp_path / "ranks", _fit, run)
    saved = load_checkpoint(tmp_path / "mid.ckpt")
    assert saved["callbacks"]["live"] == {"seen": {"scores": ["then"]}}
    assert saved["optimizer_states"][0]["param_groups"][0]["lr"] == 1e-3

import signal
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from combo_lightning.errors import RunStopped
from combo_lightning.runs.stopping import EVERY, StopOnSignal


class Last:
    """Saves within an epoch only: never after its last step.

    Args:
        steps: Of an epoch.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def save_within_epoch(self, trainer: Any, batch_idx: int) -> bool:
        return (batch_idx + 1) % self.steps != 0


@pytest.mark.parametrize("steps_an_epoch", [1, 2, 5, 10, 7])
def test_a_fit_stops_where_it_was_agreed_at_an_epochs_end_too(
    steps_an_epoch: int,
) -> None:
    last: Any = Last(steps_an_epoch)
    stop = StopOnSignal(last)
    stop._ask(signal.SIGTERM, None)
    strategy = SimpleNamespace(
        root_device=torch.device("cpu"), reduce=lambda asked, reduce_op: asked
    )
    trainer: Any = SimpleNamespace(
        world_size=2, global_step=0, strategy=strategy, default_root_dir="run"
    )
    module: Any = None

    def train() -> None:
        for step in range(3 * EVERY):
            if step % steps_an_epoch == 0:
                stop.on_train_epoch_start(trainer, module)
            trainer.global_step = step + 1
            stop.on_train_batch_end(trainer, module, None, None, step % steps_an_epoch)

    with pytest.raises(RunStopped):
        train()
    assert trainer.global_step == EVERY

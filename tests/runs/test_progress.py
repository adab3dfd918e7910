"""The bar is updated as often as eyes follow, and at the end."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from lightning.pytorch.callbacks import RichProgressBar

from combo_lightning.runs.progress import RunProgressBar


def test_updates_are_rare_but_never_miss_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.05, 10.1, 10.25, 10.26, 10.27])
    monkeypatch.setattr("combo_lightning.runs.progress.time.monotonic", lambda: next(clock))
    shown: list[int] = []

    def update(_: Any, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        shown.append(index)

    bar = RunProgressBar()
    with patch.object(RichProgressBar, "on_train_batch_end", update):
        for index in range(6):
            trainer: Any = SimpleNamespace(is_last_batch=index == 5)
            loss = torch.tensor(float(index), requires_grad=True)
            module: Any = None
            bar.on_train_batch_end(trainer, module, {"loss": loss}, None, index)
    assert shown == [0, 3, 5]
    with patch.object(RichProgressBar, "get_metrics", lambda *_: {"v_num": 1}):
        items = bar.get_metrics(trainer, module)
    assert items == {"v_num": 1, "loss": 5.0}

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from combo_lightning.ltfb.tuning import Hyperparameters, dropout_layers
from combo_lightning.model.layers import ActivationDropout


def model(*, schedule: bool = True) -> tuple[Any, Any]:
    layers = nn.Sequential(
        nn.Linear(2, 2), nn.Dropout(0.2), ActivationDropout(nn.ReLU(), 0.1), nn.Linear(2, 1)
    )
    groups = [
        {"params": [*layers[0].parameters()], "lr": 0.01, "weight_decay": 0.1},
        {"params": [*layers[3].parameters()], "lr": 0.02, "weight_decay": 0.5},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99))
    configs = []
    if schedule:
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        configs = [SimpleNamespace(scheduler=scheduler)]
    return SimpleNamespace(optimizers=[optimizer], lr_scheduler_configs=configs), layers


def test_values_are_read_and_what_stood_in_a_ratio_stays_in_it() -> None:
    trainer, layers = model()
    here = Hyperparameters(trainer, layers)
    assert here.get() == {
        "learning_rate": 0.01,
        "weight_decay": 0.1,
        "beta_1": 0.9,
        "beta_2": 0.99,
        "dropout": 0.2,
    }
    here.set({"learning_rate": 0.03, "weight_decay": 0.2, "beta_2": 0.95, "dropout": 0.4})
    first, second = trainer.optimizers[0].param_groups
    assert (first["lr"], second["lr"]) == pytest.approx((0.03, 0.06))
    assert (first["weight_decay"], second["weight_decay"]) == (0.2, 0.5)
    assert second["betas"] == (0.9, 0.95)
    assert [getattr(*layer) for layer in dropout_layers(layers)] == pytest.approx([0.4, 0.2])


def test_a_schedule_goes_on_from_the_new_learning_rate() -> None:
    trainer, layers = model()
    schedule = trainer.lr_scheduler_configs[0].scheduler
    trainer.optimizers[0].step()
    schedule.step()
    here = Hyperparameters(trainer, layers)
    assert here.get()["learning_rate"] == 0.01
    here.set({"learning_rate": 0.1})
    group = trainer.optimizers[0].param_groups[0]
    assert group["lr"] == pytest.approx(0.05)
    trainer.optimizers[0].step()
    schedule.step()
    assert group["lr"] == pytest.approx(0.1 / 3)


def test_plain_values_carry_everything_to_another_model() -> None:
    trainer, layers = model()
    Hyperparameters(trainer, layers).set({"learning_rate": 0.5, "dropout": 0.3, "beta_1": 0.5})
    plain = Hyperparameters(trainer, layers).to_plain()
    other, other_layers = model()
    there = Hyperparameters(other, other_layers)
    there.set_plain(plain)
    assert there.get() == Hyperparameters(trainer, layers).get()
    assert there.to_plain() == plain
    assert isinstance(other.optimizers[0].param_groups[0]["betas"], tuple)


def test_a_model_without_optimizer_or_dropout_has_fewer() -> None:
    bare: Any = SimpleNamespace(optimizers=[], lr_scheduler_configs=[])
    plain: Any = nn.Linear(1, 1)
    assert Hyperparameters(bare, plain).get() == {}
    trainer, _ = model(schedule=False)
    assert "dropout" not in Hyperparameters(trainer, plain).get()

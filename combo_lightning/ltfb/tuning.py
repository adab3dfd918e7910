"""Reading and changing the hyperparameters of a model that trains, whatever model it is.

They are the first optimizer's learning rate, weight decay and betas, and the layers' dropout.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import lightning.pytorch as pl
from torch import nn

from combo_lightning.errors import InputError
from combo_lightning.ltfb.hyperparameters import Mutation, Range

NAMES = ("learning_rate", "weight_decay", "beta_1", "beta_2", "dropout")
_DROPOUT_ATTRIBUTES = ("p", "probability")


@dataclass(frozen=True)
class Tuning:
    """Hyperparameters that differ between groups and change with tournaments.

    Args:
        space: Range of each: learning_rate, weight_decay, beta_1, beta_2, dropout.
        initial: How the groups' first values are drawn.
        mutation: What a group that took a model over does to them; null: nothing.
    """

    space: dict[str, Range] = field(default_factory=dict)
    initial: Literal["grid", "random", "sobol"] = "sobol"
    mutation: Mutation | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.space) - set(NAMES))
        if unknown:
            raise InputError(f"tuning.space has '{unknown[0]}'; there are {', '.join(NAMES)}")


class Hyperparameters:
    """The hyperparameters of a model, by name.

    Args:
        trainer: Of the model, after its optimizers are there.
        module: The model.
    """

    def __init__(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._optimizers = trainer.optimizers
        self._schedules = [
            config.scheduler
            for config in trainer.lr_scheduler_configs
            if hasattr(config.scheduler, "base_lrs")
        ]
        self._dropouts = dropout_layers(module)

    def get(self) -> dict[str, float]:
        """Give those that the model has; the learning rate is that before any schedule."""
        if not self._optimizers:
            return {}
        group = self._optimizers[0].param_groups[0]
        found = {"learning_rate": float(group.get("initial_lr", group["lr"]))}
        if "weight_decay" in group:
            found["weight_decay"] = float(group["weight_decay"])
        if "betas" in group:
            found["beta_1"], found["beta_2"] = map(float, group["betas"])
        rates = [getattr(layer, name) for layer, name in self._dropouts]
        if rates:
            found["dropout"] = float(max(rates))
        return found

    def check(self, names: Iterable[str]) -> None:
        """Refuse names that the model does not have.

        Raises:
            InputError: With those that it has.
        """
        here = self.get()
        missing = sorted(set(names) - set(here))
        if missing:
            raise InputError(
                f"tuning.space has '{missing[0]}', which this model does not have; it has "
                f"{', '.join(here)}"
            )

    def set(self, values: Mapping[str, float]) -> None:
        """Change some of them.

        A learning rate scales those of all groups of weights, and dropout that of all layers, so
        that what stood in a ratio stays in it; weight decay is the first group's.
        """
        before = self.get()
        for name, value in values.items():
            if name == "learning_rate":
                self._scale_learning_rate(value / before[name])
            elif name == "dropout":
                for layer, attribute in self._dropouts:
                    share = getattr(layer, attribute) / before[name] if before[name] else 1.0
                    setattr(layer, attribute, share * value)
            elif name == "weight_decay":
                self._optimizers[0].param_groups[0]["weight_decay"] = value
            else:
                for optimizer in self._optimizers:
                    for group in optimizer.param_groups:
                        betas = list(group["betas"])
                        betas[0 if name == "beta_1" else 1] = value
                        group["betas"] = tuple(betas)

    def to_plain(self) -> dict[str, Any]:
        """Give all options of the optimizers and the dropout of every layer, as plain values."""
        skip = ("params", "param_names")
        groups = [
            {key: _plain(value) for key, value in group.items() if key not in skip}
            for optimizer in self._optimizers
            for group in optimizer.param_groups
        ]
        return {
            "groups": groups,
            "base_lrs": [list(map(float, s.base_lrs)) for s in self._schedules],
            "dropout": [float(getattr(layer, name)) for layer, name in self._dropouts],
        }

    def set_plain(self, plain: Mapping[str, Any]) -> None:
        """Take over what `to_plain` gave."""
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        for group, values in zip(groups, plain["groups"], strict=True):
            for key, value in values.items():
                group[key] = tuple(value) if isinstance(group.get(key), tuple) else value
        for schedule, rates in zip(self._schedules, plain["base_lrs"], strict=True):
            schedule.base_lrs = list(rates)
        for (layer, name), value in zip(self._dropouts, plain["dropout"], strict=True):
            setattr(layer, name, value)

    def _scale_learning_rate(self, factor: float) -> None:
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] *= factor
                if "initial_lr" in group:
                    group["initial_lr"] *= factor
        for schedule in self._schedules:
            schedule.base_lrs = [rate * factor for rate in schedule.base_lrs]


def dropout_layers(module: nn.Module) -> list[tuple[nn.Module, str]]:
    """Find the layers that drop units, and the attribute that holds their probability."""
    found = []
    for layer in module.modules():
        if "Dropout" in type(layer).__name__:
            for attribute in _DROPOUT_ATTRIBUTES:
                if isinstance(getattr(layer, attribute, None), float | int):
                    found.append((layer, attribute))
                    break
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

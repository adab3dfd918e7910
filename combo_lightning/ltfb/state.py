"""What travels from the winner to a loser: weights, the optimizers' moments, hyperparameters.

A rank has its own parts of sharded or cut weights, and they go to the rank of equal position,
which has the same parts of its own model. Feature tables and other buffers that a checkpoint would
not hold never travel.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from combo_lightning.errors import InputError
from combo_lightning.ltfb.tuning import Hyperparameters


@dataclass(frozen=True)
class Exchange:
    """What of a model travels.

    Args:
        weights: Regular expression that a weight's name must contain to travel, with its moments.
        optimizer: Whether moments and step counts travel. Weights without them meet the loser's
            moments of other weights.
        hyperparameters: Whether learning rate, weight decay, betas and dropout travel.
    """

    weights: str = ""
    optimizer: bool = True
    hyperparameters: bool = True

    def __post_init__(self) -> None:
        try:
            re.compile(self.weights)
        except re.error as error:
            raise InputError(
                f"exchange.weights is '{self.weights}', no regular expression: {error}"
            ) from error


class ModelState:
    """A rank's part of a model that trains, as tensors that can be read and written.

    Args:
        trainer: Of the model.
        module: The model.
        exchange: What of it travels.
    """

    def __init__(
        self, trainer: pl.Trainer, module: pl.LightningModule, exchange: Exchange
    ) -> None:
        self._trainer = trainer
        self._module = module
        self._exchange = exchange
        self._pattern = re.compile(exchange.weights)

    def weights(self) -> dict[str, Tensor]:
        """Give this rank's parts of the weights, and of the buffers that a checkpoint holds.

        Raises:
            InputError: If no weight's name fits `Exchange.weights`.
        """
        persistent = self._module.state_dict(keep_vars=True)
        named = {n: _local(t) for n, t in persistent.items() if isinstance(t, Tensor)}
        found = {n: t for n, t in named.items() if self._pattern.search(n)}
        if not found:
            raise InputError(
                f"exchange.weights is '{self._exchange.weights}', which no weight's name "
                f"contains; there are {', '.join(list(named)[:5])} ..."
            )
        return found

    def tensors(self) -> list[Tensor]:
        """Give everything that travels as tensors, in an order that is equal in all groups."""
        found = list(self.weights().values())
        if self._exchange.optimizer:
            found += self._moments()
        return found

    def words(self) -> dict[str, Any]:
        """Give what travels as plain values."""
        if not self._exchange.hyperparameters:
            return {}
        return Hyperparameters(self._trainer, self._module).to_plain()

    @torch.no_grad()
    def adopt(self, tensors: Sequence[Tensor], words: Mapping[str, Any]) -> None:
        """Take over what another group's `tensors` and `words` gave; in place, all or nothing.

        Args:
            tensors: Of the same shapes and types as this rank's own.
            words: Its hyperparameters.
        """
        for mine, theirs in zip(self.tensors(), tensors, strict=True):
            mine.copy_(theirs)
        if words:
            Hyperparameters(self._trainer, self._module).set_plain(words)

    @torch.no_grad()
    def write_weights(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite the weights alone."""
        for mine, theirs in zip(self.weights().values(), tensors, strict=True):
            mine.copy_(theirs)

    @torch.no_grad()
    def mend_moments(self) -> None:
        """Set moments that are not finite to zero, so that their model can train again."""
        for value in self._moments():
            if value.is_floating_point():
                value.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)

    def finite(self) -> bool:
        """Tell whether all weights here are finite."""
        return all(bool(torch.isfinite(t).all()) for t in self.weights().values())

    def length(self) -> float:
        """Give the norm of the weights here."""
        squares = [t.double().square().sum() for t in self.weights().values()]
        return float(torch.stack(squares).sum().sqrt())

    def _moments(self) -> Iterator[Tensor]:
        """Give the optimizers' tensors of the weights that travel."""
        known = {id(p): name for name, p in self._module.named_parameters()}
        for optimizer in self._trainer.optimizers:
            for group in optimizer.param_groups:
                unnamed = [known.get(id(p), "") for p in group["params"]]
                names = group.get("param_names", unnamed)
                for name, parameter in zip(names, group["params"], strict=True):
                    state = optimizer.state.get(parameter, {})
                    if self._pattern.search(name):
                        for kind in sorted(state):
                            if isinstance(state[kind], Tensor):
                                yield _local(state[kind])


def _local(tensor: Tensor) -> Tensor:
    """Give the part of a tensor that is here, without its gradient."""
    part = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return part.detach()

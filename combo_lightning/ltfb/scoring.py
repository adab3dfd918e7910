"""Scoring a model on the tournament rows, so that training does not notice."""

import random
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from combo_lightning.errors import InputError
from combo_lightning.ltfb.tournament import Standing


@runtime_checkable
class Competitor(Protocol):
    """What a LightningModule must have to take part in tournaments.

    Beside it, the module or its data module has ``tournament_dataloader()``: rows that no group
    trains on. ``on_tournament_start()`` and ``on_tournament_end()`` are called around a scoring
    where the module has them.
    """

    def tournament_scores(self, batch: Any) -> Mapping[str, Tensor]:
        """Score each row of a batch.

        Args:
            batch: Of the tournament loader.

        Returns:
            For each metric one score a row, ``[N]``, such as squared errors. Where ranks share a
            batch, each gives the scores of all its rows, in their order.
        """


def tournament_batches(trainer: pl.Trainer, module: pl.LightningModule) -> Iterable[Any]:
    """Find the tournament rows' loader.

    Raises:
        InputError: If neither the data module nor the module has one, or it is empty.
    """
    owners: list[Any] = [getattr(trainer, "datamodule", None), module]
    for owner in owners:
        if hasattr(owner, "tournament_dataloader"):
            batches: Any = owner.tournament_dataloader()
            if not len(batches):
                raise InputError(
                    f"{type(owner).__name__}.tournament_dataloader is empty; hold some rows out"
                )
            found: Iterable[Any] = batches
            return found
    raise InputError(
        f"neither {type(module).__name__} nor its data module has tournament_dataloader(); give "
        "one that yields rows which no trainer group trains on"
    )


def check_competitor(module: pl.LightningModule) -> None:
    """Refuse a module that cannot be scored.

    Raises:
        InputError: With the method that it needs.
    """
    if not isinstance(module, Competitor):
        raise InputError(
            f"{type(module).__name__} has no tournament_scores(batch); add one that returns a "
            "score of each row for each metric, such as {'mse': squared errors}"
        )


def score(trainer: pl.Trainer, module: pl.LightningModule, batches: Iterable[Any]) -> Standing:
    """Score a model on all tournament rows; every rank of a group calls it and gets the same.

    Nothing is logged. Modes and the states of the random generators are as before.

    Args:
        trainer: Of the model.
        module: The model, a `Competitor`.
        batches: The tournament rows.
    """
    assert isinstance(module, Competitor)
    modes = [(layer, layer.training) for layer in module.modules()]
    generators = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
    strategy = trainer.strategy
    parts: dict[str, list[Tensor]] = {}
    module.eval()
    try:
        with torch.no_grad(), strategy.precision_plugin.val_step_context():
            _call(module, "on_tournament_start")
            for batch in batches:
                moved = strategy.batch_to_device(batch)
                for name, rows in module.tournament_scores(moved).items():
                    parts.setdefault(name, []).append(rows.detach().double().cpu())
            _call(module, "on_tournament_end")
    finally:
        for layer, mode in modes:
            layer.training = mode
        random.setstate(generators[0])
        np.random.set_state(generators[1])  # noqa: NPY002
        torch.set_rng_state(generators[2])
    found = {name: torch.cat(rows).numpy() for name, rows in parts.items()}
    # One process's word counts: rounding may differ between ranks.
    return Standing.from_rows(strategy.broadcast(found))


def _call(module: pl.LightningModule, name: str) -> None:
    hook = getattr(module, name, None)
    if hook is not None:
        hook()

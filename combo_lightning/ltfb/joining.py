"""How a group joins the others: checks before training, its channel, its name among the living."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import lightning.pytorch as pl
import torch.distributed as dist

from combo_lightning.errors import InputError
from combo_lightning.ltfb.channel import Channel
from combo_lightning.ltfb.directory import DirectoryChannel
from combo_lightning.ltfb.membership import Membership
from combo_lightning.ltfb.memory import MemoryChannel
from combo_lightning.ltfb.place import GroupPlace
from combo_lightning.ltfb.population import write_description
from combo_lightning.ltfb.scoring import score
from combo_lightning.ltfb.strategies import RandomPairwise, Strategy, TreeAveraging


def check_metrics(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    batches: Iterable[Any],
    metrics: Sequence[str],
) -> None:
    """Score once, so that a missing metric is found before training.

    Raises:
        InputError: If the rule names a metric that the module does not score.
    """
    found = score(trainer, module, batches).scores
    missing = [name for name in metrics if name not in found]
    if missing:
        raise InputError(
            f"LTFB: rule.metrics has '{missing[0]}', but {type(module).__name__}."
            f"tournament_scores gives {', '.join(sorted(found))}"
        )


def has_own_rows(trainer: pl.Trainer, strategy: Strategy | TreeAveraging) -> bool:
    """Tell whether the data module gives each group tournament rows of its own.

    Raises:
        InputError: If the strategy cannot compare scores of different rows.
    """
    data = getattr(trainer, "datamodule", None)
    own_rows: bool = getattr(data, "tournament_rows", "shared") == "per_group"
    if own_rows and not isinstance(strategy, RandomPairwise):
        raise InputError(
            f"{type(strategy).__name__} compares scores of all groups, which must be of the same "
            "rows; set data.tournament_rows to shared, or the strategy to RandomPairwise"
        )
    return own_rows


def open_channel(
    kind: Literal["memory", "directory"],
    place: GroupPlace,
    trainer: pl.Trainer,
    timeout_seconds: float,
) -> Channel:
    """Open this rank's end of the channel."""
    rank = trainer.global_rank
    if kind == "directory":
        return DirectoryChannel(place, rank, timeout_seconds)
    return MemoryChannel(place, rank, timeout_seconds)


def join(
    trainer: pl.Trainer,
    channel: Channel,
    description: Mapping[str, Any],
    round_index: int,
    model: str,
) -> Membership | None:
    """Tell the others of this group; all its ranks call it.

    Args:
        trainer: Of the group's model.
        channel: This rank's end of the channel.
        description: What all groups of the run have in common.
        round_index: The newest round that this group is through with.
        model: The shapes and types of its weights, in short.

    Returns:
        The group's view of the others, on its first process.

    Raises:
        InputError: If the folder holds another run, or this group runs already.
    """
    addresses: list[Any] = [channel.address]
    if trainer.world_size > 1:
        addresses = [None] * trainer.world_size
        dist.all_gather_object(addresses, channel.address)
    failure, membership = "", None
    if trainer.is_global_zero:
        try:
            write_description(channel.place.folder, description)
            membership = Membership(channel.place)
            membership.entered = membership.left = round_index
            membership.start(addresses, model)
        except InputError as error:
            failure = str(error)
    failure = trainer.strategy.broadcast(failure)
    if failure:
        raise InputError(failure)
    return membership


def different_model(membership: Membership) -> str:
    """Tell which groups train another model than this one; nothing: an empty text."""
    beats = membership.everyone()
    mine = beats[membership.place.group].model
    others = [str(group) for group, beat in beats.items() if beat.model != mine]
    if not others:
        return ""
    return (
        f"trainer group {membership.place.group} and group {', '.join(others)} train models whose "
        "weights have other shapes or types, and cannot exchange them; give all groups the same "
        "model options and layout"
    )

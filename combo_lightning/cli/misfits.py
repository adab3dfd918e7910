"""What a configuration may not say, whatever the processes are."""

from typing import Any

from combo_lightning.errors import InputError
from combo_lightning.parallel.processes import refuse_fsdp1


def refuse_misfits(config: Any) -> None:
    """Refuse options that do not fit each other.

    Args:
        config: Configuration of the command.

    Raises:
        InputError: If the precision is set where `--precision` would not see it, or the strategy
            is not supported.
    """
    if config.trainer.precision is not None:
        raise InputError(
            f"trainer.precision is {config.trainer.precision}; set --precision (in a file: "
            "precision, at the top) instead, which also knows auto"
        )
    refuse_fsdp1(config.trainer.strategy)


def let_groups_meet(config: Any) -> None:
    """Make sure that trainer groups can meet; jobs of their own have only the folder in common.

    Args:
        config: Configuration of fit.

    Raises:
        InputError: If there are groups without tournaments, or without a place to meet.
    """
    names = [str(getattr(c, "class_path", c)) for c in config.trainer.callbacks or []]
    if config.num_groups > 1 and not any(name.endswith(".LTFB") for name in names):
        raise InputError(
            f"num_groups is {config.num_groups}, but no LTFB callback lets the groups meet; "
            "add --config configs/ltfb.yaml"
        )
    if config.group is None:
        return
    if not config.run_dir and not config.resume:
        raise InputError("--group needs --run_dir, the folder in which the groups meet")
    for callback, name in zip(config.trainer.callbacks or [], names, strict=True):
        if name.endswith(".LTFB"):
            callback.init_args.channel = "directory"

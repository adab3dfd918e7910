"""Saving beside training: all processes write their shards, then rank 0 lets the file appear."""

import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import async_save

from combo_lightning.errors import SaveFailed


def save_shards(
    tensors: Mapping[str, Tensor],
    folder: Path,
    path: Path,
    group: Any,
    publish: Callable[[], None] | None,
) -> "Future[None]":
    """Copy this process's parts and start to write them in a thread; all processes call it.

    Args:
        tensors: Whole or spread tensors by name.
        folder: Where the parts go; new, and the same on all processes.
        path: The checkpoint file that will name the folder.
        group: A process group on CPUs that nothing else talks through.
        publish: Rank 0: writes the file when the folder is whole; all others: None.

    Returns:
        Done on every process when the file has appeared, or with one `SaveFailed` on all of them;
        the folder is gone then.
    """
    writer = FileSystemWriter(folder, sync_files=True)
    saving: Any = async_save(dict(tensors), storage_writer=writer, process_group=group)
    # Not `saving` itself: its result is there before its callbacks have run, and a next save
    # would meet a file that is just being renamed.
    published: Future[None] = Future()

    def settle(done: "Future[Any]") -> None:
        try:
            failure = _failure(done)
            if failure is None:
                failure = _publish(publish, group)
            if failure is not None and publish is not None:
                # Room for what a run still has to write when the disk is full.
                shutil.rmtree(folder, ignore_errors=True)
            if failure is not None:
                raise SaveFailed(failure, str(path)) from failure
        except BaseException as error:
            published.set_exception(error)
        else:
            published.set_result(None)

    saving.add_done_callback(settle)
    return published


def as_of_now(value: Any) -> Any:
    """Copy what training goes on to change while a thread has yet to write it.

    Callbacks and optimizers hand out the very dicts that they work on. Tensors of more than one
    number are features and the like, which nobody changes; they may be large, and are not copied.
    """
    if isinstance(value, Mapping):
        return {key: as_of_now(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_of_now(item) for item in value]
    if isinstance(value, Tensor) and not value.dim():
        return value.clone()
    return value


def _failure(saving: "Future[Any]") -> OSError | None:
    """Give the system's error of a save, the same on all processes.

    Raises:
        CheckpointException: If it failed for any other reason.
    """
    try:
        saving.result()
    except CheckpointException as error:
        for first, _ in error.failures.values():
            if isinstance(first, OSError):
                return first
        raise
    return None


def _publish(publish: Callable[[], None] | None, group: Any) -> OSError | None:
    """Let the file appear on rank 0; tell all processes how that went."""
    failure: list[OSError | None] = [None]
    if publish is not None:
        try:
            publish()
        except OSError as error:
            failure = [error]
    dist.broadcast_object_list(failure, src=0, group=group)
    return failure[0]

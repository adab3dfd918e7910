"""Tensors of a checkpoint that processes write each in its part, and anyone reads whole.

A checkpoint is a file everywhere. Where weights are spread over processes, it names a folder
beside it (``.last.ckpt.STEP-TOKEN.shards``), in the format of torch.distributed.checkpoint, which
holds the large tensors under names that no layout appears in. The file is renamed into its place
when the folder is whole: a process killed while saving leaves the previous checkpoint as it was.
"""

import pickle
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta, TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load

from combo_lightning.errors import InputError

# The entry of a checkpoint file that names its folder.
SHARDS = "shards"
SUFFIX = ".shards"
# What the folder's table of contents is made of; anything else in it is refused.
_ALLOWED = {
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata",
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size", "device", "float16", "float32", "float64", "bfloat16", "int64", "int32"},
    "pathlib": {"Path", "PosixPath"},
    "collections": {"OrderedDict"},
}


class _TableUnpickler(pickle.Unpickler):
    """Builds a table of contents, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if name in _ALLOWED.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}")


class ShardReader(FileSystemReader):
    """Reads a folder of shards; torch's own would unpickle whatever its table holds."""

    def read_metadata(self, *args: Any, **options: Any) -> Metadata:
        """Read the table of contents.

        Raises:
            InputError: If it is missing, damaged or holds anything else.
        """
        path = Path(self.path) / ".metadata"
        try:
            with path.open("rb") as file:
                found = _TableUnpickler(file).load()
        except FileNotFoundError as error:
            raise InputError(
                f"{path.parent} is missing or not whole; a checkpoint of several processes needs "
                "the folder of shards beside it"
            ) from error
        except (pickle.UnpicklingError, EOFError, AttributeError, ValueError) as error:
            raise InputError(f"{path} is damaged or no table of contents: {error}") from error
        if not isinstance(found, Metadata):
            raise InputError(f"{path} is no table of contents of a checkpoint")
        meta = getattr(found, "storage_meta", None) or StorageMeta()
        meta.load_id = self.load_id
        found.storage_meta = meta
        return found


def read_whole(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of a folder of shards, whole, on the CPU; in any process, alone.

    Args:
        folder: The folder.

    Returns:
        The tensors by name.

    Raises:
        InputError: If the folder is missing or damaged.
    """
    table = ShardReader(folder).read_metadata()
    tensors: dict[str, Tensor] = {}
    for name, entry in table.state_dict_metadata.items():
        if isinstance(entry, TensorStorageMetadata):
            tensors[name] = torch.empty(entry.size, dtype=entry.properties.dtype)
    try:
        with warnings.catch_warnings():
            # That one process reads alone is what is meant.
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            load(tensors, storage_reader=ShardReader(folder), no_dist=True)
    except (RuntimeError, OSError, CheckpointException) as error:
        raise InputError(f"{folder} is damaged or not whole: {error}") from error
    return tensors


def flatten(checkpoint: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Take the large tensors out of a checkpoint, under names that no layout appears in.

    Args:
        checkpoint: As Lightning dumps it, with ``param_names`` in its optimizers' groups.

    Returns:
        The rest, and the tensors: ``state_dict.WEIGHT`` and ``optimizer.WEIGHT.MOMENT``.
    """
    rest = dict(checkpoint)
    tensors = {f"state_dict.{name}": x for name, x in rest.pop("state_dict").items()}
    optimizers = []
    for optimizer in rest.get("optimizer_states", []):
        names = _names_by_index(optimizer)
        for index, moments in optimizer["state"].items():
            for moment, value in moments.items():
                tensors[f"optimizer.{names[index]}.{moment}"] = value
        optimizers.append({**optimizer, "state": {}})
    rest["optimizer_states"] = optimizers
    return rest, tensors


def unflatten(rest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Put the tensors back where `flatten` took them from."""
    checkpoint = {key: value for key, value in rest.items() if key != SHARDS}
    weights = {n.removeprefix("state_dict."): x for n, x in tensors.items() if n[0] == "s"}
    checkpoint["state_dict"] = weights
    moments: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            weight, moment = name.removeprefix("optimizer.").rsplit(".", 1)
            moments.setdefault(weight, {})[moment] = value
    optimizers = []
    for optimizer in rest.get("optimizer_states", []):
        names = _names_by_index(optimizer)
        state = {index: moments[name] for index, name in names.items() if name in moments}
        optimizers.append({**optimizer, "state": state})
    checkpoint["optimizer_states"] = optimizers
    return checkpoint


def shard_folder(path: Path, rest: Mapping[str, Any]) -> Path:
    """Find the folder of a checkpoint file's shards.

    Raises:
        InputError: If its name leads out of the file's folder.
    """
    name = rest[SHARDS]
    if not isinstance(name, str) or name != Path(name).name or not name.endswith(SUFFIX):
        raise InputError(f"{path} names the folder of shards '{name}', which is no plain name")
    return path.with_name(name)


def remove_other_shards(path: Path, keep: str | None) -> None:
    """Remove the folders that earlier, or broken-off, saves of a checkpoint file left."""
    for folder in path.parent.glob(f".{path.name}.*{SUFFIX}"):
        if folder.name != keep:
            shutil.rmtree(folder, ignore_errors=True)


def _names_by_index(optimizer: Mapping[str, Any]) -> dict[int, str]:
    return {
        index: name
        for group in optimizer["param_groups"]
        for index, name in zip(group["params"], group["param_names"], strict=True)
    }

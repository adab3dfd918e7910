"""The checkpoint's own content: network configuration and catalog, as plain values and tensors.

``checkpoint["combo_lightning"]`` = ``schema_version``, ``package_version``, ``network`` (the
configuration), ``catalog`` (see `Catalog`). Only containers, strings, numbers and tensors, so that
``torch.load(weights_only=True)`` reads it and a hostile pickle is refused.
"""

import os
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from combo_lightning import __version__
from combo_lightning.data.catalog import Catalog
from combo_lightning.errors import InputError
from combo_lightning.model import ComboModel, InputSizes, NetworkConfig
from combo_lightning.parallel.shards import (
    SHARDS,
    read_whole,
    remove_other_shards,
    shard_folder,
    unflatten,
)

CHECKPOINT_SCHEMA_VERSION = 1
# The end of a file's name while it is written.
PARTIAL = ".partial"
# Bytes of the drug x line table's weights.
LARGEST_TABLE = 4 << 30


def pack_content(network: NetworkConfig, catalog: Catalog) -> dict[str, Any]:
    """Lay out what a checkpoint must hold beside the weights."""
    content: dict[str, Any] = _map_arrays(
        {
            "schema_version": CHECKPOINT_SCHEMA_VERSION,
            "package_version": __version__,
            "network": network.to_plain(),
            "catalog": catalog.to_plain(),
        },
        np.ndarray,
        torch.from_numpy,
    )
    return content


def unpack_content(
    checkpoint: Mapping[str, Any], where: str, folder: Path | None = None
) -> tuple[NetworkConfig, Catalog]:
    """Read back what `pack_content` laid out.

    Args:
        checkpoint: The whole checkpoint.
        where: Its name, for messages.
        folder: Where it stands, and large features beside it; None: those are left out.

    Raises:
        InputError: If it is no checkpoint of this program, or of another schema version.
    """
    content = checkpoint.get("combo_lightning")
    if not isinstance(content, Mapping):
        raise InputError(
            f"{where} was not written by combo-lightning: it has no 'combo_lightning' entry"
        )
    version = content.get("schema_version")
    if version != CHECKPOINT_SCHEMA_VERSION:
        raise InputError(
            f"{where} is of checkpoint schema {version} (written by combo-lightning "
            f"{content.get('package_version')}), this program reads {CHECKPOINT_SCHEMA_VERSION}; "
            "predict with that version, or train again"
        )
    plain = _map_arrays(content, torch.Tensor, lambda tensor: tensor.cpu().numpy())
    return NetworkConfig.from_plain(plain["network"]), Catalog.from_plain(plain["catalog"], folder)


def build_network(config: NetworkConfig, catalog: Catalog) -> ComboModel:
    """Build the network for the entities and slots of a catalog.

    Raises:
        InputError: If the configuration does not fit the data.
    """
    cells, drugs = len(catalog.cells.ids), len(catalog.drugs.ids)
    vectors = catalog.num_slots * cells * drugs * config.table_rank
    if 4 * vectors > LARGEST_TABLE:
        raise InputError(
            f"model.network.table_rank is {config.table_rank}: the table of {drugs:,} drugs x "
            f"{cells:,} lines would take {4 * vectors / 2**30:.0f} GiB (at most "
            f"{LARGEST_TABLE >> 30}), three times with its optimizer; set it to 0"
        )
    studies = catalog.studies.names
    if config.study_embedding and not studies:
        raise InputError(
            f"model.network.study_embedding is {config.study_embedding}, but the rows of the data "
            "set are of one study; set it to 0, or merge studies (combo-lightning merge)"
        )
    sizes = InputSizes(
        cell_features=catalog.cells.features_EG.shape[1],
        drug_features=catalog.drugs.features_EG.shape[1],
        num_cells=cells,
        num_drugs=drugs,
        num_slots=catalog.num_slots,
        has_dose=catalog.response.per_dose,
        num_studies=len(studies),
    )
    return ComboModel(config, sizes)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint, of one process or of several, on the CPU; only tensors are unpickled.

    Args:
        path: The file.

    Raises:
        InputError: If it is missing, truncated, no checkpoint, or holds code.
    """
    path = Path(path)
    checkpoint = _load_file(path)
    if SHARDS in checkpoint:
        return unflatten(checkpoint, read_whole(shard_folder(path, checkpoint)))
    return checkpoint


def shards_named_by(path: Path) -> str | None:
    """Give the name of the folder that holds a checkpoint's tensors; None: the file does.

    Raises:
        InputError: If the file cannot be read.
    """
    name: str | None = _load_file(path, mmap=True).get(SHARDS)
    return name


def _load_file(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}; look in the run folder's checkpoints/")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors and plain values, or is damaged, and was not "
            f"loaded: {str(error).splitlines()[0]}"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} is no complete checkpoint file: {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(checkpoint, dict):
        raise InputError(f"{path} holds a {type(checkpoint).__name__}, not a checkpoint")
    return checkpoint


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint aside and rename it; on any error the file aside is removed.

    Args:
        checkpoint: Containers, plain values and tensors.
        path: The file; its folder is made.

    Raises:
        OSError: If it cannot be written, with the file's name.
        RuntimeError: If torch cannot lay it out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}{PARTIAL}")
    try:
        with aside.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except (OSError, RuntimeError) as error:
        cause = _system_error(error)
        if cause is None:
            raise
        raise OSError(cause.errno, cause.strerror or str(cause), str(path)) from error
    finally:
        aside.unlink(missing_ok=True)
    # Of an earlier save, or of one that was broken off; in a run that goes on in another
    # layout, too.
    remove_other_shards(path, checkpoint.get(SHARDS))


def list_differences(
    network: NetworkConfig, catalog: Catalog, my_network: NetworkConfig, mine: Catalog
) -> dict[str, tuple[Any, Any]]:
    """Tell in what a checkpoint differs from what it is to be used with.

    Args:
        network: The checkpoint's network.
        catalog: Its catalog.
        my_network: The network that it should have.
        mine: The catalog that it should have.

    Returns:
        Theirs and ours, by what it is; empty: they fit.
    """
    found = {
        "response": (catalog.response.name, mine.response.name),
        "data set": (catalog.data_fingerprint[:12], mine.data_fingerprint[:12]),
        "training rows (data.split, seed)": (
            catalog.train_fingerprint[:12],
            mine.train_fingerprint[:12],
        ),
        "network (model.network)": (network, my_network),
    }
    return {what: both for what, both in found.items() if both[0] != both[1]}


def feature_files(checkpoint: Mapping[str, Any]) -> list[str]:
    """Name the files of large features that a checkpoint needs beside it."""
    catalog = checkpoint.get("combo_lightning", {}).get("catalog", {})
    tables = [catalog.get(kind, {}).get("features") for kind in ("cells", "drugs")]
    return [Path(table["name"]).name for table in tables if isinstance(table, Mapping)]


def copy_feature_files(checkpoint: Mapping[str, Any], source: Path, target: Path) -> None:
    """Copy the files of large features that a checkpoint needs, where they are not there yet.

    Args:
        checkpoint: The checkpoint.
        source: The folder that it was read from.
        target: The folder that it, or another of the same features, will stand in.

    Raises:
        InputError: If one is missing.
    """
    for name in feature_files(checkpoint):
        copy = target / name
        # Named by its content: what has the name is the same.
        if copy.exists():
            continue
        if not (source / name).is_file():
            raise InputError(
                f"the checkpoint needs {name} beside it, and {source} does not hold it; copy it "
                "there from the checkpoints folder of the run"
            )
        target.mkdir(parents=True, exist_ok=True)
        aside = target / f".{name}.{os.getpid()}.partial"
        try:
            shutil.copy2(source / name, aside)
            os.replace(aside, copy)
        finally:
            aside.unlink(missing_ok=True)


def _system_error(error: BaseException | None) -> OSError | None:
    """Find the system's error; torch's own on a full disk is of a position in the file."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _map_arrays(value: Any, kind: type, convert: Any) -> Any:
    """Convert every array of one kind in nested dicts and lists."""
    if isinstance(value, kind):
        return convert(value)
    if isinstance(value, Mapping):
        return {key: _map_arrays(item, kind, convert) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map_arrays(item, kind, convert) for item in value]
    return value

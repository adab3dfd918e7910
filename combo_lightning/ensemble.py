"""Several trained models as one checkpoint, and one of them as a checkpoint of its own.

An ensemble's checkpoint has no weights in ``state_dict`` but an entry ``ensemble``: ``names`` of
its members, the distinct ``state_dicts``, and ``which`` of those each member has: members that
ended with equal weights, as after a tournament, take the place of one. Everything else that
prediction needs stands once in ``combo_lightning``, as in any checkpoint.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from combo_lightning.checkpoint import (
    copy_feature_files,
    list_differences,
    load_checkpoint,
    unpack_content,
    write_checkpoint,
)
from combo_lightning.data.catalog import Catalog
from combo_lightning.errors import InputError
from combo_lightning.model import NetworkConfig

ENSEMBLE = "ensemble"
LIGHTNING_VERSION = "pytorch-lightning_version"
# Fitted transforms of two processors differ in their last digits.
SAME = 1e-5


class MemberWeights(NamedTuple):
    """The weights in a checkpoint, of one model or of several.

    Args:
        names: The members' names; empty: it is no ensemble.
        state_dicts: The distinct weights, by name.
        which: Which of them each member has.
    """

    names: tuple[str, ...]
    state_dicts: tuple[Mapping[str, Tensor], ...]
    which: tuple[int, ...]


def is_ensemble(checkpoint: Mapping[str, Any]) -> bool:
    """Tell whether a checkpoint holds several models."""
    return ENSEMBLE in checkpoint


def read_weights(checkpoint: Mapping[str, Any]) -> MemberWeights:
    """Find the weights of a checkpoint's models.

    Args:
        checkpoint: As `load_checkpoint` gave it.

    Raises:
        InputError: If the ensemble's entry is not what `write_ensemble` writes.
    """
    if not is_ensemble(checkpoint):
        return MemberWeights((), (checkpoint["state_dict"],), (0,))
    try:
        entry = checkpoint[ENSEMBLE]
        found = MemberWeights(*(tuple(entry[name]) for name in ("names", "state_dicts", "which")))
        whole = len(found.names) == len(found.which) > 0
        whole = whole and set(found.which) == set(range(len(found.state_dicts)))
    except (TypeError, KeyError):
        whole = False
    if not whole:
        raise InputError(
            "the checkpoint's entry 'ensemble' is damaged: it must name each member and its "
            "weights; write the ensemble again"
        )
    return found


def write_ensemble(members: Sequence[Path], target: Path, names: Sequence[str]) -> None:
    """Put trained models of one network and one data set into a checkpoint.

    ``test``, ``predict`` and ``screen`` take it as any other: they give the mean of the members'
    predictions and its spread. What a fit would go on from is left out.

    Args:
        members: Their checkpoints, of any layout; one at a time is in memory as a whole.
        target: The file to write.
        names: A name for each, all different.

    Raises:
        InputError: If there is no member, a name stands twice, or members do not fit together.
    """
    if not members or len(members) != len(names) or len(set(names)) != len(names):
        raise InputError(
            f"an ensemble needs one member or more, each with a name of its own; there are "
            f"{len(members)} members and the names {', '.join(names) or '(none)'}"
        )
    first: dict[str, Any] = {}
    distinct: list[dict[str, Tensor]] = []
    which = []
    for path in map(Path, members):
        checkpoint = load_checkpoint(path)
        if is_ensemble(checkpoint):
            raise InputError(f"{path} is an ensemble itself; name its members' own checkpoints")
        if first:
            _refuse_other(checkpoint, path, first, Path(members[0]))
        else:
            unpack_content(checkpoint, str(path))
            kept = ("combo_lightning", LIGHTNING_VERSION)
            first = {key: checkpoint[key] for key in kept if key in checkpoint}
        weights = checkpoint["state_dict"]
        if distinct and _shapes(weights) != _shapes(distinct[0]):
            raise InputError(
                f"{path} is damaged: its weights have other shapes than {members[0]}'s"
            )
        place = next((i for i, x in enumerate(distinct) if _equal(x, weights)), len(distinct))
        if place == len(distinct):
            distinct.append(weights)
        which.append(place)
    entry = {"names": list(names), "state_dicts": distinct, "which": which}
    copy_feature_files(first, Path(members[0]).parent, target.parent)
    write_checkpoint({**first, "state_dict": {}, ENSEMBLE: entry}, target)


def write_champion(member: Path, target: Path) -> None:
    """Write a model's whole checkpoint into one file, from which a fit may also go on.

    Args:
        member: Its checkpoint, of any layout.
        target: The file to write.
    """
    checkpoint = load_checkpoint(Path(member))
    copy_feature_files(checkpoint, Path(member).parent, target.parent)
    write_checkpoint(checkpoint, target)


def _refuse_other(
    checkpoint: Mapping[str, Any], path: Path, first: Mapping[str, Any], first_path: Path
) -> None:
    """Refuse a member that does not fit the first one.

    Raises:
        InputError: If it does not.
    """
    found = _differ(
        *unpack_content(checkpoint, str(path)), *unpack_content(first, str(first_path))
    )
    if found:
        raise InputError(
            f"{path} and {first_path} cannot be one ensemble: {found}; take members of one run, "
            "or of runs with the same data, data.split, data.transform and model.network"
        )


def _differ(
    network: NetworkConfig, catalog: Catalog, first_network: NetworkConfig, first: Catalog
) -> str:
    """Say in what two members differ; empty: they fit."""
    for what, (theirs, ours) in list_differences(network, catalog, first_network, first).items():
        return f"their {what} is {theirs} and {ours}"
    # The features themselves follow from the data and from these.
    if not _alike(catalog.to_plain(), first.to_plain(), skip="features"):
        return "their features or responses were transformed in other ways (data.transform)"
    return ""


def _alike(a: Any, b: Any, skip: str) -> bool:
    """Compare nested plain values and arrays; floats up to `SAME`."""
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_alike(a[k], b[k], skip) for k in a if k != skip)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_alike(x, y, skip) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and bool(
            np.allclose(a, b, rtol=SAME, atol=SAME, equal_nan=True)
            if a.dtype.kind == "f"
            else np.array_equal(a, b)
        )
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=SAME, abs_tol=SAME) or (a != a and b != b)
    return bool(a == b)


def _equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Tell whether weights are equal to the last bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}

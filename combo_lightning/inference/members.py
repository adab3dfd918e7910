"""The networks that answer together: the members of an ensemble, or one model.

Shapes: B rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy.typing as npt
import torch
from torch import Tensor

from combo_lightning.checkpoint import build_network
from combo_lightning.data.catalog import Catalog
from combo_lightning.ensemble import read_weights
from combo_lightning.errors import InputError
from combo_lightning.model import ComboModel, EntityTable, NetworkConfig
from combo_lightning.model.cache import EncodedCache
from combo_lightning.model.combo import Encoded
from combo_lightning.model.part import BatchPart

Part = TypeVar("Part")
Values = TypeVar("Values", Tensor, npt.NDArray[Any], float)


@dataclass(frozen=True)
class Members:
    """Networks of one shape, and how many members have each.

    Args:
        networks: The distinct ones, in eval mode.
        names: The members' names; empty: it is one model, no ensemble.
        which: Which of the networks each member has.
    """

    networks: tuple[ComboModel, ...]
    names: tuple[str, ...] = ()
    which: tuple[int, ...] = (0,)

    @classmethod
    def load(
        cls, checkpoint: Mapping[str, Any], config: NetworkConfig, catalog: Catalog, where: str
    ) -> "Members":
        """Build the networks of a checkpoint.

        Args:
            checkpoint: As `load_checkpoint` gave it.
            config: Its network.
            catalog: Its catalog.
            where: Its name, for messages.

        Raises:
            InputError: If the weights do not fit the network.
        """
        weights = read_weights(checkpoint)
        networks = []
        for state_dict in weights.state_dicts:
            network = build_network(config, catalog)
            load_weights(network, state_dict, where)
            networks.append(network.eval())
        return cls(tuple(networks), weights.names, weights.which)

    def to(self, device: torch.device) -> None:
        """Move the networks to a device."""
        for network in self.networks:
            network.to(device)

    def mean(self, parts: Sequence[Values]) -> Values:
        """Take the mean over members.

        Args:
            parts: What each of `networks` gave; of one, it is returned as it is.
        """
        if len(parts) == 1:
            return parts[0]
        counts = self._counts
        total = counts[0] * parts[0]
        for part, count in zip(parts[1:], counts[1:], strict=True):
            total = total + count * part
        return total / len(self.which)

    def spread(self, parts: Sequence[Values]) -> Values | None:
        """Take the standard deviation over members.

        Args:
            parts: What each of `networks` gave.

        Returns:
            The root of the mean squared deviation from the mean (divided by N, not N - 1): that
            of the equal mixture of the members. None: it is no ensemble.

        Source:
            Lakshminarayanan et al. 2017, arXiv:1612.01474, section 2.4, for members without a
            variance of their own.
        """
        if not self.names:
            return None
        mean = self.mean(parts)
        variance = self.mean([(part - mean) ** 2 for part in parts])
        root: Values = variance**0.5
        return root

    def mean_by_name(self, answers: Sequence[Mapping[str, Values]]) -> dict[str, Values]:
        """Take the mean of each of several things that each network gave."""
        return {name: self.mean([answer[name] for answer in answers]) for name in answers[0]}

    def by_name(self, parts: Sequence[Part]) -> dict[str, Part]:
        """Give what each member's network gave, by the member's name; empty: no ensemble."""
        return {name: parts[place] for name, place in zip(self.names, self.which, strict=False)}

    @property
    def _counts(self) -> list[int]:
        found = Counter(self.which)
        return [found[place] for place in range(max(self.which) + 1)]


class EncodedMembers:
    """The entities as each network has encoded them, when rows first asked for them.

    Args:
        members: The networks, in eval mode; their weights stay as they are.
        cells: The cell lines.
        drugs: The drugs.
    """

    def __init__(self, members: Members, cells: EntityTable, drugs: EntityTable) -> None:
        self._networks = members.networks
        self._caches = [EncodedCache(network, cells, drugs) for network in members.networks]

    def covering(
        self, cell_B: Tensor, drug_BK: Tensor, part: BatchPart | None = None
    ) -> list[tuple[ComboModel, Encoded]]:
        """Give each network and its encoded tables; arguments as in `EncodedCache.covering`."""
        encoded = [cache.covering(cell_B, drug_BK, part) for cache in self._caches]
        return list(zip(self._networks, encoded, strict=True))


def load_weights(network: ComboModel, state_dict: Mapping[str, Tensor], where: str) -> None:
    """Load a checkpoint's weights, which a task's network has under ``network.``.

    Raises:
        InputError: If they do not fit.
    """
    weights = {name.removeprefix("network."): value for name, value in state_dict.items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{where}: the weights do not fit the network: {error}") from error

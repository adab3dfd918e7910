"""Which orders of its drugs a combination was recorded in, for networks that tell slots apart.

Shapes: N training rows, B rows, K drug slots, P = K! permutations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations as all_permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.errors import InputError


def permutations(num_slots: int) -> list[tuple[int, ...]]:
    """List the orders of the slots; the first keeps them as they are."""
    return list(all_permutations(range(num_slots)))


@dataclass(frozen=True)
class RecordedOrders:
    """The ordered drug tuples of the training rows.

    In NCI-ALMANAC the drug in slot 1 shares a plate with its partners, so the order carries a
    plate effect. A combination is predicted in the orders that training recorded (the mean of
    them, if several), and an unmeasured one in all orders: f(A, B) = f(B, A) either way.

    Args:
        keys: Sorted distinct tuples as numbers in base ``num_drugs + 1``, int64.
        num_drugs: Drugs known to training.
    """

    keys: npt.NDArray[np.int64]
    num_drugs: int

    @classmethod
    def from_rows(cls, drug_NK: npt.NDArray[Any], num_drugs: int) -> "RecordedOrders":
        """Collect the tuples of training rows.

        Args:
            drug_NK: Drug indices; -1: empty slot.
            num_drugs: Drugs known to training.

        Raises:
            InputError: If 64 bits cannot number the tuples.
        """
        if (num_drugs + 1) ** drug_NK.shape[1] >= 2**63:
            raise InputError(
                f"{num_drugs} drugs in {drug_NK.shape[1]} slots have more orders than 64 bits "
                "can number; use fewer slots"
            )
        return cls(keys=np.unique(_tuple_keys(drug_NK, num_drugs)), num_drugs=num_drugs)

    def contains(self, drug_BK: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell which rows hold a tuple that training recorded in just this order, ``[B]``."""
        known: npt.NDArray[np.bool_] = np.all((drug_BK >= -1) & (drug_BK < self.num_drugs), axis=1)
        if not len(self.keys):
            return np.zeros(len(drug_BK), dtype=bool)
        key = _tuple_keys(np.where(known[:, None], drug_BK, -1), self.num_drugs)
        place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        result: npt.NDArray[np.bool_] = known & (self.keys[place] == key)
        return result

    def contains_any_order(self, drug_BK: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell which rows hold drugs that training recorded together, in whatever order, [B]."""
        orders = permutations(drug_BK.shape[1])
        found: npt.NDArray[np.bool_] = np.logical_or.reduce(
            [self.contains(drug_BK[:, list(order)]) for order in orders]
        )
        return found

    def weights(self, drug_BK: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Weigh the orders of each row.

        Args:
            drug_BK: Drug indices; -1: empty slot; ``num_drugs`` and above: new drugs.

        Returns:
            Weights ``[B, P]`` that sum to 1 over the orders: equal ones for the orders that
            training recorded; where it recorded none, for all orders with the empty slots last.
        """
        orders = [drug_BK[:, list(order)] for order in permutations(drug_BK.shape[1])]
        recorded_BP = np.stack([self.contains(order) for order in orders], axis=1)
        allowed_BP = np.stack([_empty_last(order) for order in orders], axis=1)
        # Orders that differ by equal drugs alone stay apart: their doses may differ. Each distinct
        # tuple of a row comes equally often, so that tuples still share equally.
        chosen = np.where(recorded_BP.any(axis=1, keepdims=True), recorded_BP, allowed_BP)
        weights: npt.NDArray[np.float32] = (chosen / chosen.sum(axis=1, keepdims=True)).astype(
            np.float32
        )
        return weights

    def to_plain(self) -> dict[str, Any]:
        """Give plain values and arrays, for a checkpoint."""
        return {"keys": self.keys, "num_drugs": self.num_drugs}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "RecordedOrders":
        """Build from what `to_plain` gave."""
        return cls(keys=plain["keys"], num_drugs=plain["num_drugs"])


def _tuple_keys(drug_BK: npt.NDArray[Any], num_drugs: int) -> npt.NDArray[np.int64]:
    key = np.zeros(len(drug_BK), dtype=np.int64)
    for column in drug_BK.T:
        key = key * (num_drugs + 1) + (column.astype(np.int64) + 1)
    return key


def _empty_last(drug_BK: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    present = drug_BK >= 0
    result: npt.NDArray[np.bool_] = np.all(present[:, :-1] >= present[:, 1:], axis=1)
    return result

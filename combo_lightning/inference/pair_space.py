"""Which pairs of drugs a screen answers, cut into blocks of a fixed order.

Shapes: A and E drugs of a block in the first and second place, N pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

IndexArray = npt.NDArray[np.int64]
# A block in one line takes about a second on two cores; a stopped screen loses at most one block.
FIRST_AT_ONCE = 32
SECOND_AT_ONCE = 4096


class Block(NamedTuple):
    """Pairs among a few drugs.

    Args:
        number: Place in the order of all blocks.
        first_A: Drugs in the first place.
        second_E: Drugs in the second place.
        i_N: Place in `first_A` of each pair's first drug.
        j_N: Place in `second_E` of its second drug.
    """

    number: int
    first_A: IndexArray
    second_E: IndexArray
    i_N: IndexArray
    j_N: IndexArray

    @property
    def first_N(self) -> IndexArray:
        """The first drug of each pair."""
        return self.first_A[self.i_N]

    @property
    def second_N(self) -> IndexArray:
        """The second drug of each pair."""
        return self.second_E[self.j_N]


@dataclass(frozen=True)
class PairSpace:
    """All pairs of different drugs, or all that contain one of some drugs.

    Args:
        drugs: The drugs to combine, distinct.
        contains: Drugs of which every pair holds at least one, distinct; None: any pair. They
            need not be among `drugs`.
        ordered: Whether (A, B) and (B, A) are two pairs, as for a model that takes the order as
            given.
    """

    drugs: IndexArray
    contains: IndexArray | None
    ordered: bool

    def _rectangles(self) -> list[tuple[IndexArray, IndexArray]]:
        """List (first, second): the pairs are all of theirs that `_valid` lets through."""
        if self.contains is None:
            return [(self.drugs, self.drugs)]
        shared = np.isin(self.contains, self.drugs)
        outside, inside = self.contains[~shared], self.contains[shared]
        # Those outside of `drugs` come first: as second drugs they are never met.
        first = np.concatenate([outside, inside])
        found = [(first, self.drugs)]
        if self.ordered:
            others = self.drugs[~np.isin(self.drugs, self.contains)]
            found += [(others, first), (inside, outside)]
        return [(a, b) for a, b in found if len(a) and len(b)]

    def _rank(self, first_A: IndexArray, of: IndexArray) -> IndexArray:
        """Give the place of drugs in `first_A`; -1: it does not hold them."""
        order = np.argsort(first_A)
        place = np.minimum(np.searchsorted(first_A, of, sorter=order), len(first_A) - 1)
        found: IndexArray = np.where(first_A[order[place]] == of, order[place], -1)
        return found

    def __len__(self) -> int:
        """Count the pairs, without listing them."""
        total = 0
        for first_A, second_E in self._rectangles():
            rank_E = np.sort(self._rank(first_A, second_E))
            unranked = int((rank_E < 0).sum())
            if self.ordered:
                total += len(first_A) * len(second_E) - (len(second_E) - unranked)
            else:
                # Drugs of the second place that come no later than each of the first place.
                before = np.searchsorted(rank_E, np.arange(len(first_A)), side="right") - unranked
                total += len(first_A) * len(second_E) - int(before.sum())
        return total

    def blocks(self) -> Iterator[Block]:
        """Give all pairs once, always in the same order; no block is empty."""
        number = 0
        for first_A, second_E in self._rectangles():
            rank_A, rank_E = np.arange(len(first_A)), self._rank(first_A, second_E)
            for i in range(0, len(first_A), FIRST_AT_ONCE):
                rows = slice(i, i + FIRST_AT_ONCE)
                for j in range(0, len(second_E), SECOND_AT_ONCE):
                    columns = slice(j, j + SECOND_AT_ONCE)
                    mine, theirs = rank_A[rows, None], rank_E[None, columns]
                    valid = mine != theirs if self.ordered else (theirs < 0) | (mine < theirs)
                    i_N, j_N = np.nonzero(valid)
                    if len(i_N):
                        yield Block(number, first_A[rows], second_E[columns], i_N, j_N)
                        number += 1

    def sample(self, count: int, draw: np.random.Generator) -> Block:
        """Draw pairs of the drugs that stand in the first and in the second place."""
        first = self.drugs if self.contains is None else self.contains
        first_A = draw.choice(first, min(len(first), FIRST_AT_ONCE), replace=False)
        second_E = draw.choice(self.drugs, min(len(self.drugs), SECOND_AT_ONCE), replace=False)
        i_N = draw.integers(len(first_A), size=count)
        return Block(-1, first_A, second_E, i_N, draw.integers(len(second_E), size=count))

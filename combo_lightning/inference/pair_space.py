"""Which pairs of drugs a screen answers, cut into blocks of a fixed order.

Shapes: A and E drugs of a block in the first and second place, N pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from combo_lightning.model.pairs import PAIRS_AT_ONCE
from combo_lightning.parts import Part

IndexArray = npt.NDArray[np.int64]
WHOLE = Part(1, 1)
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

    def blocks(self, part: Part = WHOLE) -> Iterator[Block]:
        """Give all pairs of a part once, always in the same order; no block is empty.

        A block is cut only where a call of the scorer ends (int8 scales a call's inputs together),
        so that a pair has the same answer whatever the number of parts. Parts differ by less than
        two calls.

        Args:
            part: Its blocks are numbered from 0. All parts in their order are the whole.
        """
        begin, end = part.share(len(self))
        number = before = 0
        for first_A, second_E, i_N, j_N in self._all_blocks():
            rows = slice(_cut(begin - before, len(i_N)), _cut(end - before, len(i_N)))
            before += len(i_N)
            if rows.start < rows.stop:
                yield Block(number, first_A, second_E, i_N[rows], j_N[rows])
                number += 1
            if before >= end:
                return

    def _all_blocks(self) -> Iterator[tuple[IndexArray, IndexArray, IndexArray, IndexArray]]:
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
                        yield first_A[rows], second_E[columns], i_N, j_N

    def sample(self, count: int, draw: np.random.Generator) -> Block:
        """Draw pairs of the drugs that stand in the first and in the second place."""
        first = self.drugs if self.contains is None else self.contains
        first_A = draw.choice(first, min(len(first), FIRST_AT_ONCE), replace=False)
        second_E = draw.choice(self.drugs, min(len(self.drugs), SECOND_AT_ONCE), replace=False)
        i_N = draw.integers(len(first_A), size=count)
        return Block(-1, first_A, second_E, i_N, draw.integers(len(second_E), size=count))


def _cut(wanted: int, pairs: int) -> int:
    """Cut a block of some pairs near a place, which may lie outside."""
    return max(0, wanted // PAIRS_AT_ONCE * PAIRS_AT_ONCE) if wanted < pairs else pairs

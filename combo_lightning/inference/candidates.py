"""The best of very many scores, with room for the error of the scores.

A first pass in int8 or bf16 errs by up to some E. If every score errs by at most E, the exact n
best are among those whose score is no less than that of the n-th best minus 2 E: the n-th best
exact score is at least (n-th best score) - E, and a pair that exceeds it scores at least that
minus E.

Shapes: N pairs offered, C pairs kept.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

# Kept in all groups together, at 24 bytes each. More can only be needed where scores are tied.
MOST_KEPT = 4_000_000


class Candidates:
    """Pairs that may be among the n best of their group (a cell line, or a contrast of lines).

    Args:
        groups: Number of groups.
        top: n.
        margin: 2 E, in the unit of the scores.
    """

    def __init__(self, groups: int, top: int, margin: float) -> None:
        self.top = top
        self.margin = margin
        self.overflowed = False
        self._most = max(top, MOST_KEPT // groups)
        self._limit = [4 * top + 4096] * groups
        self._floor = [-np.inf] * groups
        self._parts: list[list[npt.NDArray[Any]]] = [[] for _ in range(groups)]
        self._count = [0] * groups

    _KIND = np.dtype([("score", "<f4"), ("first", "<i8"), ("second", "<i8")])

    def offer(
        self,
        group: int,
        score_N: npt.NDArray[np.float32],
        first_N: npt.NDArray[np.int64],
        second_N: npt.NDArray[np.int64],
    ) -> None:
        """Consider pairs of a group; a higher score is better."""
        # Not below the floor: NaN stays too, and is found by whoever reads it.
        chosen = np.flatnonzero(~(score_N < self._floor[group]))
        if not len(chosen):
            return
        part = np.empty(len(chosen), dtype=self._KIND)
        part["score"], part["first"] = score_N[chosen], first_N[chosen]
        part["second"] = second_N[chosen]
        self._parts[group].append(part)
        self._count[group] += len(part)
        if self._count[group] > self._limit[group]:
            self._prune(group)

    def _prune(self, group: int) -> None:
        kept = np.concatenate(self._parts[group]) if self._parts[group] else self._empty()
        if len(kept) > self.top:
            nth = np.partition(kept["score"], -self.top)[-self.top]
            self._floor[group] = float(nth) - self.margin
            kept = kept[~(kept["score"] < self._floor[group])]
        if len(kept) > self._most:
            self.overflowed = True
            best = np.argsort(-kept["score"], kind="stable")[: self._most]
            kept = kept[np.sort(best)]
        self._parts[group] = [kept]
        self._count[group] = len(kept)
        self._limit[group] = max(self._limit[group], 2 * len(kept))

    def kept(self, group: int) -> npt.NDArray[Any]:
        """Give what may be among the n best of a group: ``score``, ``first``, ``second`` [C]."""
        self._prune(group)
        return self._parts[group][0]

    def _empty(self) -> npt.NDArray[Any]:
        return np.empty(0, dtype=self._KIND)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the state as plain arrays."""
        groups = range(len(self._parts))
        kept = [self.kept(group) for group in groups]
        return {
            "kept": np.concatenate([self._empty(), *kept]),
            "counts": np.array([len(part) for part in kept]),
            "overflowed": np.array(self.overflowed),
        }

    def add(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Consider what `to_arrays` gave: before a stop, or of the pairs after these."""
        self.overflowed |= bool(state["overflowed"])
        ends = np.cumsum(state["counts"])[:-1]
        for group, part in enumerate(np.split(state["kept"], ends)):
            self.offer(group, part["score"], part["first"], part["second"])

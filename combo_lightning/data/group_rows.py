"""Which rows each trainer group trains on and is judged by; every group draws the same shares.

What is shared out are the split's own parts: a tournament row of any group trains no group.
Shapes: R rows of a part, U units (a combination in a cell line, with all its rows), T groups.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import Codes, combine_codes, compound_of_drug, compound_sets
from combo_lightning.data.splits import Split, deal_folds, first_of
from combo_lightning.errors import InputError

TrainingShare = Literal["full", "partition", "overlap"]
TournamentShare = Literal["shared", "per_group"]

# Which draw a generator serves.
_TRAINING, _TOURNAMENT, _OVERLAP = range(3)


@dataclass(frozen=True)
class GroupRows:
    """The rows of one trainer group.

    Args:
        group: Which trainer group this is, from 0, and of how many.
        train_rows: The rows that it trains on, in order.
        epoch_rows: Rows of an epoch: what the smallest group has, so that all make equally many
            steps.
        tournament_rows: The rows that its tournaments are scored on, in order.
    """

    group: tuple[int, int]
    train_rows: Codes
    epoch_rows: int
    tournament_rows: Codes


@dataclass(frozen=True)
class GroupRowsConfig:
    """How the parts are shared out over trainer groups; see docs/splits.md.

    Args:
        training: All rows for every group, a part for each, or that and some of the others'.
        overlap: With "overlap": the share of the other groups' rows drawn in addition.
        tournament: All rows for every group, or a part for each.
    """

    training: TrainingShare = "full"
    overlap: float = 0.5
    tournament: TournamentShare = "shared"

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 1:
            raise InputError(f"data.overlap is {self.overlap}; it must lie in [0, 1]")


def draw_group_rows(
    dataset: ScreenDataset,
    split: Split,
    config: GroupRowsConfig,
    group: tuple[int, int],
    seed: int,
) -> GroupRows:
    """Draw the rows of one trainer group; equal on every rank of it.

    What stays together is a combination in a cell line (its replicates, doses and orders, the
    `random` split's group), whatever the kind of the split: so groups that share nothing do share
    no measured combination, yet are of about equal size and each meet nearly all lines and drugs.

    Args:
        dataset: The screen.
        split: Its parts.
        config: How they are shared out.
        group: Which trainer group, from 0, and of how many.
        seed: The run's seed; equal in all trainer groups.

    Raises:
        InputError: If there are too few combinations for all groups.
        ValueError: If there is no such group.
    """
    index, count = group
    if not 0 <= index < count:
        raise ValueError(f"there is no trainer group {index} of {count}; give 0 to {count - 1}")
    train, tournament = split.train_rows, split.tournament_rows
    epoch_rows = len(train)
    if config.training != "full" and count > 1:
        unit_R, rows_U = _units(dataset, train)
        _check_enough("training", len(rows_U), count, "set data.group_rows to full")
        taken_TU = _deal(rows_U, count, seed, _TRAINING)
        if config.training == "overlap":
            taken_TU = _add_others(taken_TU, rows_U, config.overlap, seed)
        epoch_rows = min(int(rows_U[taken_U].sum()) for taken_U in taken_TU)
        train = train[taken_TU[index][unit_R]]
    if config.tournament == "per_group" and count > 1 and len(tournament):
        unit_R, rows_U = _units(dataset, tournament)
        mend = "raise data.split.tournament_fraction, or set data.tournament_rows to shared"
        _check_enough("tournament", len(rows_U), count, mend)
        tournament = tournament[_deal(rows_U, count, seed, _TOURNAMENT)[index][unit_R]]
    return GroupRows(group, train, epoch_rows, tournament)


def _check_enough(part: str, units: int, count: int, mend: str) -> None:
    """Refuse a part that leaves a group without rows.

    Raises:
        InputError: With the number of its units, and what to do.
    """
    if units < count:
        raise InputError(
            f"the {part} part holds too few combinations of drugs and cell line ({units}) for "
            f"{count} trainer groups; use fewer groups, or {mend}"
        )


def _units(dataset: ScreenDataset, rows: Codes) -> tuple[Codes, Codes]:
    """Number the units of the rows, ``[R]``, and count the rows of each, ``[U]``."""
    responses = dataset.responses
    sets = compound_sets(responses, compound_of_drug(dataset))
    unit_N = combine_codes([sets, responses.cell_N])
    _, unit_R, rows_U = np.unique(unit_N[rows], return_inverse=True, return_counts=True)
    return unit_R.astype(np.int64), rows_U.astype(np.int64)


def _deal(rows_U: Codes, count: int, seed: int, stream: int) -> npt.NDArray[np.bool_]:
    """Deal each unit to one group; groups differ by the rows of the largest unit at most."""
    random = _random(seed, stream, count)
    owner_U = deal_folds(rows_U, random.permutation(len(rows_U)), count, random)
    taken_TU: npt.NDArray[np.bool_] = owner_U == np.arange(count)[:, None]
    return taken_TU


def _add_others(
    taken_TU: npt.NDArray[np.bool_], rows_U: Codes, overlap: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Give each group a share of the rows of the others, drawn by itself, in addition."""
    more_TU = taken_TU.copy()
    for group, taken_U in enumerate(taken_TU):
        others = np.flatnonzero(~taken_U)
        order = _random(seed, _OVERLAP, len(taken_TU), group).permutation(len(others))
        more_TU[group, others[order[first_of(rows_U[others], order, overlap)]]] = True
    return more_TU


def _random(seed: int, *key: int) -> np.random.Generator:
    # A spawn key keeps these draws apart from those of split and order, which have none.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))

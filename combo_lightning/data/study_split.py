"""The split that leaves whole studies out.

Shapes: N measurements, S studies, G groups of rows.
"""

import numpy as np
import numpy.typing as npt

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import Codes, combine_codes, compound_of_drug, compound_sets
from combo_lightning.data.splits import (
    TEST,
    TOURNAMENT,
    TRAIN,
    VALIDATION,
    Split,
    SplitConfig,
    deal_folds,
    first_of,
)
from combo_lightning.data.studies import study_codes
from combo_lightning.errors import InputError, did_you_mean

# Studies that must be left to train on, for whole ones to be validated on.
LEAST_TRAINING_STUDIES = 2


def study_parts(
    dataset: ScreenDataset, config: SplitConfig, compound_D: Codes, seed: int
) -> npt.NDArray[np.int8]:
    """Give the part of every row; rows of no study always train.

    Validation has whole studies where two are left to train on, else pairs of drugs of the
    training studies, as tournaments always do.

    Args:
        dataset: The screen.
        config: The rule.
        compound_D: The compound of each drug.
        seed: Seed of the draw.

    Raises:
        InputError: If there are fewer than two studies, or one that is named is not there.
    """
    names = dataset.responses.studies
    code_N = study_codes(dataset.responses)
    # By name: the order of the rows plays no part.
    studies = np.array(sorted(np.unique(code_N[code_N >= 0]).tolist(), key=lambda s: names[s]))
    if len(studies) < 2:
        raise InputError(
            "leave_study_out needs rows of two studies or more, and this data set has "
            f"{len(studies)} with a name; make one with 'combo-lightning merge', or 'prepare "
            "table --study_column'"
        )
    random = np.random.default_rng([seed, 1])
    rows_S = np.array([np.count_nonzero(code_N == study) for study in studies])
    order = random.permutation(len(studies))
    if config.test_studies is not None:
        tested = np.isin(studies[order], _named(config.test_studies, names))
    else:
        tested = _draw_tested(config, rows_S, order, random)
    part_N = np.full(len(code_N), TRAIN, dtype=np.int8)
    part_N[np.isin(code_N, studies[order[tested]])] = TEST
    rest = order[~tested]
    validated = first_of(np.ones_like(rows_S), rest, config.validation_fraction)
    if len(rest) - validated.sum() >= LEAST_TRAINING_STUDIES:
        part_N[np.isin(code_N, studies[rest[validated]])] = VALIDATION
    else:
        fraction = config.validation_fraction
        part_N[_pairs(dataset, part_N, compound_D, fraction, random)] = VALIDATION
    fraction = config.tournament_fraction
    part_N[_pairs(dataset, part_N, compound_D, fraction, random)] = TOURNAMENT
    return part_N


def _draw_tested(
    config: SplitConfig, rows_S: Codes, order: Codes, random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Draw which studies, taken in this order, are tested.

    Raises:
        InputError: If there are more folds than studies.
    """
    if not config.num_folds:
        return first_of(np.ones_like(rows_S), order, config.test_fraction)
    if config.num_folds > len(rows_S):
        raise InputError(
            f"data.split.num_folds is {config.num_folds}, but there are only {len(rows_S)} "
            "studies; use fewer folds"
        )
    fold_S = deal_folds(rows_S, order, config.num_folds, random)
    tested: npt.NDArray[np.bool_] = fold_S[order] == config.fold
    return tested


def _named(wanted: list[str], names: tuple[str, ...]) -> list[int]:
    """Find the studies that the user named.

    Raises:
        InputError: If one is not there.
    """
    for name in wanted:
        if not name or name not in names:
            known = sorted(study for study in names if study)
            raise InputError(
                f"data.split.test_studies names '{name}'{did_you_mean(name, known)}; the data "
                f"set has {', '.join(known[:10])}"
            )
    return [names.index(name) for name in wanted]


def _pairs(
    dataset: ScreenDataset,
    part_N: npt.NDArray[np.int8],
    compound_D: Codes,
    fraction: float,
    random: np.random.Generator,
) -> Codes:
    """Draw training rows by the set of their drugs; of single drugs alone, by drug and line."""
    responses = dataset.responses
    group_N = compound_sets(responses, compound_D)
    several = (responses.drug_NK >= 0).sum(axis=1) > 1
    if not several.any():
        several = np.ones_like(several)
        group_N = combine_codes([group_N, responses.cell_N])
    rows = np.flatnonzero((part_N == TRAIN) & several)
    _, code, count = np.unique(group_N[rows], return_inverse=True, return_counts=True)
    order = random.permutation(len(count))
    drawn = order[first_of(count, order, fraction)]
    return rows[np.isin(code, drawn)]


def measured_elsewhere(dataset: ScreenDataset, split: Split) -> npt.NDArray[np.bool_]:
    """Tell for each test row whether training rows of other studies hold its drugs in its line.

    Within a study no split parts a combination in a line.
    """
    responses = dataset.responses
    if responses.study_N is None:
        return np.zeros(len(split.test_rows), dtype=bool)
    sets_N = compound_sets(responses, compound_of_drug(dataset))
    group_N = combine_codes([sets_N, responses.cell_N])
    known = np.zeros(int(group_N.max(initial=-1)) + 1, dtype=bool)
    known[group_N[split.train_rows]] = True
    found: npt.NDArray[np.bool_] = known[group_N[split.test_rows]]
    return found

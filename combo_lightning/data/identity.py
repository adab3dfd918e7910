"""Which rows measured the same thing: one definition for splits, baselines and replicates.

Shapes: N measurements, K drug slots, D drugs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.dataset import Responses, ScreenDataset
from combo_lightning.errors import InputError

Codes = npt.NDArray[np.int64]


def compound_of_drug(dataset: ScreenDataset) -> Codes:
    """Give each drug the index of the first drug with the same InChIKey, ``[D]``.

    Two identifiers of one compound (NSC 761431 and 753082 are both vemurafenib) must never stand
    on both sides of a split. A drug without an InChIKey is a compound of its own.
    """
    first: dict[str, int] = {}
    keys = dataset.drugs.annotation("inchikey")
    return np.array(
        [i if key is None else first.setdefault(key, i) for i, key in enumerate(keys)],
        dtype=np.int64,
    )


def combine_codes(columns: Sequence[npt.NDArray[Any]]) -> Codes:
    """Number the distinct rows of several integer columns, ``[N]``, dense from 0.

    Args:
        columns: Integer columns, each at least -1.

    Returns:
        Equal numbers for equal rows; ordered as the rows are, column after column.

    Raises:
        InputError: If there are more combinations than 64 bits can number.
    """
    key = np.zeros(len(columns[0]), dtype=np.int64)
    size = 1
    for column in columns:
        width = int(column.max(initial=-1)) + 2
        size *= width
        if size >= 2**63:
            raise InputError(
                "the data set has more combinations of cell lines, drugs and doses than 64 bits "
                "can number; use fewer drug slots"
            )
        key = key * width + (column.astype(np.int64) + 1)
    return np.unique(key, return_inverse=True)[1].astype(np.int64)


def compound_sets(responses: Responses, compound_D: Codes) -> Codes:
    """Number the distinct sets of compounds, in whatever order they stand, ``[N]``."""
    compound_NK = np.where(responses.drug_NK >= 0, compound_D[responses.drug_NK], -1)
    compound_NK.sort(axis=1)
    return combine_codes(list(compound_NK.T))


def replicate_groups(responses: Responses) -> Codes:
    """Number what was measured: cell line, drugs and their doses in whatever order, ``[N]``.

    Rows with an equal number are replicates.
    """
    treated_NK: npt.NDArray[Any] = responses.drug_NK.astype(np.int64)
    if responses.log10_molar_NK is not None:
        # A thousandth of a decade tells all doses apart and survives float32.
        dose_NK = np.rint(np.nan_to_num(responses.log10_molar_NK) * 1000).astype(np.int64)
        dose_NK -= dose_NK.min(initial=0)
        treated_NK = np.where(
            responses.drug_NK >= 0, treated_NK * (dose_NK.max(initial=0) + 1) + dose_NK, -1
        )
    treated_NK = np.sort(treated_NK, axis=1)
    columns = [np.unique(column, return_inverse=True)[1] for column in treated_NK.T]
    return combine_codes([responses.cell_N, *columns])

"""Plates that drift: whose measurements all lie above or below other plates' of the same thing.

Shapes: N measurements, P plates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

# A plate drifts if its effect is beyond so many standard errors, so many robust standard
# deviations of the plates' effects, and so much of the residuals' standard deviation.
_ERRORS = 5.0
_PLATES = 5.0
_SHARE = 1.0
# From the median absolute deviation to a standard deviation.
_ROBUST = 1.4826
_FEW = 8
_LEAST_PLATES = 3
_ROUNDS = 20
# So many measurements are looked at, from the first.
_MOST = 4_000_000


@dataclass(frozen=True)
class Drift:
    """A plate that drifts.

    Args:
        plate: Its code.
        shift: How far its measurements lie from the other plates', in the response's unit.
        rows: How many of them were measured on other plates too.
    """

    plate: int
    shift: float
    rows: int


def drifting_plates(response_N: Floats, plate_N: Codes, measured_N: Codes) -> list[Drift]:
    """Find plates that drift.

    Only what was measured on several plates (controls, single drugs that accompany each
    combination, repeats) tells of plates: its responses are explained by additive effects of what
    was measured and of plates, fitted in turns.

    Args:
        response_N: Measurements.
        plate_N: Plate of each; codes from 0.
        measured_N: What was measured, a line under a treatment; codes from 0.

    Returns:
        Those that drift, the farthest first.
    """
    pairs = np.unique(np.stack([measured_N, plate_N]), axis=1)[0]
    shared = np.bincount(pairs, minlength=int(measured_N.max(initial=-1)) + 1) > 1
    kept = shared[measured_N]
    rest_N, plate_N, measured_N = response_N[kept], plate_N[kept], measured_N[kept]
    if len(np.unique(plate_N)) < _LEAST_PLATES:
        return []
    effect_P = np.zeros(int(plate_N.max()) + 1)
    for _ in range(_ROUNDS):
        rest_N = rest_N - _means(rest_N, measured_N)[measured_N]
        step_P = _means(rest_N, plate_N)
        effect_P += step_P
        rest_N = rest_N - step_P[plate_N]
    count_P = np.bincount(plate_N)
    known = effect_P[count_P >= _FEW]
    if not len(known):
        return []
    effect_P -= np.median(known)
    between = float(np.median(np.abs(known - np.median(known)))) * _ROBUST
    within = float(np.median(np.abs(rest_N))) * _ROBUST
    error_P = within / np.sqrt(np.maximum(count_P, 1))
    far = np.abs(effect_P) > max(_PLATES * between, _SHARE * within)
    drifts = far & (np.abs(effect_P) > _ERRORS * error_P) & (count_P >= _FEW)
    found = [Drift(int(p), float(effect_P[p]), int(count_P[p])) for p in np.flatnonzero(drifts)]
    return sorted(found, key=lambda drift: -abs(drift.shift))


def _means(values_N: Floats, code_N: Codes) -> Floats:
    count = np.bincount(code_N)
    total = np.bincount(code_N, weights=values_N)
    return np.asarray(total / np.maximum(count, 1))


class PlateReadings:
    """The measurements of plates, kept while a data set is written.

    Args:
        treatment: Columns that say what was measured, beside the line.
    """

    def __init__(self, treatment: Sequence[str]) -> None:
        self._columns = ("plate", "cell_id", *treatment)
        self._codes: dict[str, dict[Any, int]] = {name: {} for name in self._columns}
        self._parts: list[tuple[Floats, Codes]] = []
        self._rows = 0

    def __len__(self) -> int:
        return len(self._codes["plate"])

    def see(self, table: Any) -> None:
        """Note the rows of a table that has a column ``plate``."""
        if "plate" not in table.column_names or self._rows >= _MOST:
            return
        code_XN = np.stack([self._encode(name, table.column(name)) for name in self._columns])
        known = code_XN[0] >= 0
        response_N = table.column("response").to_numpy().astype(np.float64)
        self._parts.append((response_N[known], code_XN[:, known]))
        self._rows += int(known.sum())

    def _encode(self, name: str, column: Any) -> Codes:
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        codes = self._codes[name]
        place = [codes.setdefault(value, len(codes)) for value in column.dictionary.to_pylist()]
        index = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        codes_N: Codes = np.append(np.array(place, dtype=np.int64), -1)[index]
        return codes_N

    def drifts(self) -> list[tuple[str, Drift]]:
        """Find the plates that drift, by their names; see `drifting_plates`."""
        if not self._parts:
            return []
        response_N = np.concatenate([part[0] for part in self._parts])
        code_XN = np.concatenate([part[1] for part in self._parts], axis=1)
        measured_N = np.unique(code_XN[1:], axis=1, return_inverse=True)[1].reshape(-1)
        names = list(self._codes["plate"])
        found = drifting_plates(response_N, code_XN[0], measured_N)
        return [(names[drift.plate], drift) for drift in found]

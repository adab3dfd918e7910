"""Checks of what comes in: units, directions, impossible values, plates that drift.

Each finds what is probably a mistake, says at which rows, and is passed over where the user says
that it is intended (``--accept NAME``). Thresholds are wide: real screens pass them all.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from combo_lightning.data.plates import PlateReadings
from combo_lightning.data.schema import ResponseKind, dose_columns, drug_columns
from combo_lightning.data.units import response_converter
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]

CHECKS = ("unit", "range", "direction", "dose", "plates")
# Below this many measurements nothing is told from how they are distributed.
_FEW = 30
# Of each batch of rows so many are kept, evenly spaced, to tell the distribution.
_SAMPLE = 4096
# Up to this share of plates that drift is ordinary: of 942 real ones of NCI-ALMANAC 6 do.
_DRIFTING = 0.1
# Rows that a message shows.
_SHOWN = 3
# log10 molar: what is in the wells of a screen, and where the middle of a screen's IC50s lies.
_DOSES = (-12.5, -1.0)
_MIDDLE = (-10.0, -3.0)
# Of a few values: what no unit but another explains.
_MIDDLE_OF_FEW = (-13.0, -1.0)
_CONVERT = "convert them (in a table of your own, prepare table does: --response_unit)"


# What people have where log10 molar is expected, as --response_unit names it.
_POTENCY_UNITS = ("pIC50", "log10uM", "log10nM", "lnuM", "uM", "nM", "M")
_POTENCIES = ("ic50", "gi50", "tgi", "lc50")
_PERCENTS = ("growth", "min_growth", "viability")
# What no measurement of the kind can be, in its own unit: (lowest, highest).
_POSSIBLE = {
    "growth": (-100.0, 1000.0),
    "min_growth": (-100.0, 1000.0),
    "viability": (-50.0, 5000.0),
    "auc": (0.0, 2.0),
    "ic50": (-20.0, 6.0),
    "gi50": (-20.0, 6.0),
    "tgi": (-20.0, 6.0),
    "lc50": (-20.0, 6.0),
    "zscore": (-50.0, 50.0),
}
# Growth and viability stay measurements of a plate: a little below what can be is noise.
_TOLERANCE = 0.5


class Plausibility:
    """Looks at the measurements of a data set while they are written.

    Args:
        kind: What they are.
        num_slots: K, the drug slots of a row.
        accept: Checks to pass over, names of `CHECKS`.

    Raises:
        InputError: If there is no such check.
    """

    def __init__(self, kind: ResponseKind, num_slots: int, accept: Sequence[str] = ()) -> None:
        for name in accept:
            if name not in CHECKS:
                raise InputError(f"--accept {name}: there is no such check; {', '.join(CHECKS)}")
        self._kind = kind
        self._num_slots = num_slots
        self._accept = frozenset(accept)
        self._scale = 100.0 if kind.unit.startswith("fraction growth") else 1.0
        self._responses: list[Floats] = []
        self._doses: list[Floats] = []
        self._treated: list[npt.NDArray[np.int64]] = []
        self._combinations: dict[tuple[str | None, ...], int] = {}
        self._rows = 0
        self._impossible: list[str] = []
        self._impossible_rows = 0
        self._far: list[str] = []
        self._far_rows = 0
        self._plates = PlateReadings([*drug_columns(num_slots), *dose_columns(num_slots)])

    def see(self, table: Any) -> None:
        """Look at some rows.

        Args:
            table: Arrow table with columns of `schema.response_schema`, and perhaps ``place``,
                where in the raw file each row stands, and ``plate``.
        """
        count = len(table)
        if not count:
            return
        response_N = table.column("response").to_numpy().astype(np.float64) * self._scale
        low, high = _POSSIBLE.get(self._kind.name, (-np.inf, np.inf))
        slack = _TOLERANCE if self._kind.name in _PERCENTS else 0.0
        bad = np.flatnonzero((response_N < low - slack) | (response_N > high))
        self._impossible_rows += len(bad)
        room = _SHOWN - len(self._impossible)
        self._impossible += [self._describe(table, int(row)) for row in bad[:room]]
        columns = dose_columns(self._num_slots)
        dose_NK = np.stack(
            [table.column(n).to_numpy(zero_copy_only=False) for n in columns], axis=1
        ).astype(np.float64)
        far = np.flatnonzero(((dose_NK < _DOSES[0]) | (dose_NK > _DOSES[1])).any(axis=1))
        self._far_rows += len(far)
        room = _SHOWN - len(self._far)
        self._far += [self._describe(table, int(row)) for row in far[:room]]
        kept = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
        self._responses.append(response_N[kept])
        self._doses.append(dose_NK[kept])
        if self._kind.per_dose:
            self._treated.append(self._combinations_of(table.take(pa.array(kept))))
        self._plates.see(table)
        self._rows += count

    def _combinations_of(self, table: Any) -> npt.NDArray[np.int64]:
        """Number the drugs of each row."""
        slots = [table.column(name).to_pylist() for name in drug_columns(self._num_slots)]
        known = self._combinations
        return np.array([known.setdefault(row, len(known)) for row in zip(*slots, strict=True)])

    def judge(self) -> None:
        """Refuse what is implausible and was not said to be intended.

        Raises:
            InputError: With what was found, at which rows, and how to mend or accept it.
        """
        if not self._rows:
            return
        response_N = np.concatenate(self._responses)
        dose_NK = np.concatenate(self._doses)
        found: Mapping[str, Callable[[], str | None]] = {
            "unit": lambda: self._unit(response_N),
            "direction": lambda: self._direction(response_N, dose_NK),
            "dose": lambda: self._dose(dose_NK),
            "range": self._range,
            "plates": self._drift,
        }
        for name, look in found.items():
            problem = None if name in self._accept else look()
            if problem:
                accepted = ",".join(c for c in CHECKS if c == name or c in self._accept)
                raise InputError(f"{problem}; if that is intended, add --accept [{accepted}]")

    def _unit(self, response_N: Floats) -> str | None:
        kind = self._kind
        low, middle, high = np.quantile(response_N, (0.01, 0.5, 0.99))
        shown = f"half of the {kind.name} values are below {middle:.3g}, 98 % of them between "
        shown += f"{low:.3g} and {high:.3g}"
        few = len(response_N) < _FEW
        bounds = _MIDDLE_OF_FEW if few else _MIDDLE
        if kind.name in _POTENCIES and not bounds[0] <= middle <= bounds[1]:
            units = [unit for unit in _POTENCY_UNITS if _fits(kind, unit, (low, middle, high))]
            guess = f": they look like {' or '.join(units)}" if units else ""
            return f"{shown}, and log10 molar is expected{guess}; {_CONVERT}"
        if few:
            return None
        if kind.name in _PERCENTS and self._scale == 1 and low >= -1.5 and high <= 3:
            return f"{shown}: they look like fractions, and {kind.unit} is expected; {_CONVERT}"
        if kind.name == "auc" and high > 2:
            return (
                f"{shown}: they look like percent, or an area that is not divided by the range of "
                f"doses, and a fraction is expected; divide them, or {_CONVERT}"
            )
        if kind.name == "zscore" and not (0.2 <= response_N.std() <= 5 and abs(middle) <= 2):
            return (
                f"{shown}, with standard deviation {response_N.std():.3g}: Z-scores have about 0 "
                "and 1"
            )
        return None

    def _direction(self, response_N: Floats, dose_NK: Floats) -> str | None:
        kind = self._kind
        if len(response_N) < _FEW:
            return None
        if kind.name == "auc" and np.median(response_N) < 0.35 and response_N.max() <= 2:
            return (
                f"half of the auc values are below {np.median(response_N):.3g}: they look like an "
                "area above the curve (1: full effect), and that under it is expected (1: no "
                "effect); take 1 minus it"
            )
        if not kind.per_dose:
            return None
        # Within each drug or combination, so that a potent one at low doses tells nothing.
        dose_N = np.nanmax(np.where(np.isnan(dose_NK), -np.inf, dose_NK), axis=1)
        there = np.isfinite(dose_N)
        treated_N = np.concatenate(self._treated)[there]
        together = _correlation(
            _centred(dose_N[there], treated_N), _centred(response_N[there], treated_N)
        )
        if together > 0.3:
            return (
                f"{kind.name} rises with the dose (correlation {together:.2f}): it looks like "
                f"inhibition, and what is left of the cells is expected; {_CONVERT}"
            )
        return None

    def _dose(self, dose_NK: Floats) -> str | None:
        dose = dose_NK[~np.isnan(dose_NK)]
        if not self._far_rows or not len(dose):
            return None
        low, high = dose.min(), dose.max()
        mend = "name their unit with --dose_unit (M, mM, uM, nM, log10M)"
        return (
            f"{self._far_rows} rows have doses that no well holds (log10 molar {low:.3g} to "
            f"{high:.3g}; {_DOSES[0]} to {_DOSES[1]} is plausible), such as "
            f"{'; '.join(self._far)}: {mend}"
        )

    def _range(self) -> str | None:
        if not self._impossible_rows:
            return None
        low, high = _POSSIBLE[self._kind.name]
        return (
            f"{self._impossible_rows} of {self._rows} {self._kind.name} values cannot be "
            f"({low:g} to {high:g} {self._kind.unit} can), such as {'; '.join(self._impossible)}: "
            "correct or leave them out"
        )

    def _drift(self) -> str | None:
        """Tell of plates that drift; few do in every large screen, and are only said."""
        drifts = self._plates.drifts()
        if not drifts:
            return None
        shown = [f"'{name}' by {d.shift:+.3g} over {d.rows} rows" for name, d in drifts[:_SHOWN]]
        more = f" and {len(drifts) - _SHOWN} more" if len(drifts) > _SHOWN else ""
        found = (
            f"{len(drifts)} of {len(self._plates)} plates drift from others that hold the same: "
            f"{', '.join(shown)}{more} (in {self._kind.unit})"
        )
        if len(drifts) <= _DRIFTING * len(self._plates):
            logger.warning("%s", found)
            return None
        return f"{found}; correct them or leave them out"

    def _describe(self, table: Any, row: int) -> str:
        drugs = [table.column(name)[row].as_py() for name in drug_columns(self._num_slots)]
        doses = [table.column(name)[row].as_py() for name in dose_columns(self._num_slots)]
        named = [
            drug if dose is None else f"{drug} at {dose:.3g}"
            for drug, dose in zip(drugs, doses, strict=True)
            if drug is not None
        ]
        value, line = table.column("response")[row].as_py(), table.column("cell_id")[row].as_py()
        place = table.column("place")[row].as_py() if "place" in table.column_names else None
        where = f"row {self._rows + row + 1}" if place is None else f"line {place}"
        return f"{where} ({line}, {' + '.join(named)}: {value:g})"


def _fits(kind: ResponseKind, unit: str, quantiles: tuple[float, float, float]) -> bool:
    """Tell whether values of a unit, of which three quantiles are given, are plausible."""
    values = response_converter(kind, unit, "")(np.array(quantiles, dtype=np.float64))
    low, middle, high = np.sort(values)
    return bool(_MIDDLE[0] <= middle <= _MIDDLE[1] and low >= -13 and high <= 1)


def _centred(values_N: Floats, code_N: npt.NDArray[np.int64]) -> Floats:
    """Take the mean of those of equal code from values."""
    count = np.maximum(np.bincount(code_N), 1)
    return np.asarray(values_N - (np.bincount(code_N, values_N) / count)[code_N])


def _correlation(a: Floats, b: Floats) -> float:
    if not len(a) or np.ptp(a) < 1e-9 or np.ptp(b) < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])

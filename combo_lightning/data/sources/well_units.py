"""What the number of a well states, viability, inhibition or growth, and whether it can be so."""

import logging
from typing import Literal

import numpy as np
import numpy.typing as npt

from combo_lightning.data.units import convert_response
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
WellMeasure = Literal["viability", "inhibition", "growth"]

# Percent: how near to 0 untreated wells are of inhibition, and to 100 of viability and growth.
_NEAR = 25.0
# Where no number is larger, percents are fractions.
_FRACTIONS = 2.0


def in_percent(
    values: Floats,
    untreated: npt.NDArray[np.bool_],
    measures: tuple[WellMeasure | None, WellMeasure],
    where: str,
) -> Floats:
    """Convert wells to what is wanted, in percent, and refuse what they cannot be.

    Args:
        values: What the file states, in percent; NaN is missing.
        untreated: Which wells hold no drug.
        measures: What they are as the user or the column's name says (None: viability or
            inhibition, as the untreated wells tell), and what is wanted.
        where: Option and file, for messages.

    Raises:
        InputError: If it cannot be told, the untreated wells say the contrary, the values are
            fractions, or growth is wanted of what is none.
    """
    stated, wanted = measures
    _refuse_fractions(values, where)
    controls = values[untreated & np.isfinite(values)]
    middle = float(np.median(controls)) if len(controls) else np.nan
    seen: WellMeasure | None = "inhibition" if abs(middle) <= _NEAR else None
    seen = "viability" if abs(middle - 100) <= _NEAR else seen
    measure = stated or seen
    if measure is None:
        raise InputError(
            f"{where}: it is not said whether the responses are viability or inhibition, and "
            + (
                f"untreated wells read {middle:g} (inhibition has about 0, viability about 100)"
                if len(controls)
                else "there are no untreated wells that would tell"
            )
            + "; add --wells viability, --wells inhibition or --wells growth"
        )
    if seen is not None and (seen == "inhibition") != (measure == "inhibition"):
        raise InputError(
            f"{where}: the responses are said to be {measure}, but untreated wells read "
            f"{middle:g} in the middle, as in {seen}; say --wells {seen} if that is what they are"
        )
    if stated is None:
        logger.info(
            "%s: untreated wells read %.3g: taking responses as percent %s", where, middle, measure
        )
    try:
        return convert_response(values, f"{measure}_percent", f"{wanted}_percent")
    except InputError as error:
        mend = ", or give them in a column 'time_zero'" if wanted == "growth" else ""
        raise InputError(f"{where}: {error}{mend}") from error


def _refuse_fractions(values: Floats, where: str) -> None:
    """Refuse wells that look like fractions.

    Raises:
        InputError: If they do.
    """
    known = np.abs(values[np.isfinite(values)])
    if len(known) and known.max() <= _FRACTIONS:
        raise InputError(
            f"{where}: no response is larger than {known.max():g}, so they look like fractions; "
            "multiply them by 100, as wells are in percent here"
        )

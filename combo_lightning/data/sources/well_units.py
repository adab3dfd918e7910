"""What the number of a well states, viability or inhibition, and whether that can be so."""

import logging
from typing import Literal

import numpy as np
import numpy.typing as npt

from combo_lightning.data.units import convert_response
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
WellMeasure = Literal["viability", "inhibition"]

# Percent: untreated wells below are those of inhibition, above 100 minus it of viability.
_NEAR = 25.0
# Where no number is larger, percents are fractions.
_FRACTIONS = 2.0


def viability_of(
    values: Floats, untreated: npt.NDArray[np.bool_], stated: str | None, where: str
) -> Floats:
    """Convert wells to viability in percent, and refuse what they cannot be.

    Args:
        values: Viability or inhibition in percent; NaN is missing.
        untreated: Which wells hold no drug.
        stated: "viability" or "inhibition", as the user or the column's name says; None: it is
            told from the untreated wells.
        where: Option and file, for messages.

    Raises:
        InputError: If it cannot be told, the untreated wells say the contrary, or the values are
            fractions.
    """
    known = values[np.isfinite(values)]
    if len(known) and np.abs(known).max() <= _FRACTIONS:
        raise InputError(
            f"{where}: no response is larger than {np.abs(known).max():g}, so they look like "
            "fractions; multiply them by 100, as viability and inhibition are in percent here"
        )
    controls = values[untreated & np.isfinite(values)]
    middle = float(np.median(controls)) if len(controls) else np.nan
    seen = "inhibition" if abs(middle) <= _NEAR else None
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
            + "; add --wells viability or --wells inhibition"
        )
    if seen is not None and seen != measure:
        raise InputError(
            f"{where}: the responses are said to be {measure}, but untreated wells read "
            f"{middle:g} in the middle, as in {seen}; say --wells {seen} if that is what they are"
        )
    if stated is None:
        logger.info(
            "%s: untreated wells read %.3g: taking responses as percent %s", where, middle, measure
        )
    return convert_response(values, f"{measure}_percent", "viability_percent")

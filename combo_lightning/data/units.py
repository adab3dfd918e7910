"""Converting concentrations and responses between the units that screens state them in.

Inside a data set concentrations are log10 of molar, and responses in the unit of their kind
(`data.schema`); what a file states is converted on its way in, or refused.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from combo_lightning.data.growth import percent_growth
from combo_lightning.data.schema import ResponseKind
from combo_lightning.errors import InputError, did_you_mean

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ConcentrationUnit:
    """A unit of concentration.

    Args:
        name: As the options and messages spell it.
        log10_molar: log10 of how many molar one of it is.
        log_base: The value is the logarithm to this base; None: it is the concentration.
    """

    name: str
    log10_molar: float
    log_base: float | None = None


_SCALES = {"M": 0.0, "mM": -3.0, "uM": -6.0, "nM": -9.0, "pM": -12.0}
CONCENTRATION_UNITS: dict[str, ConcentrationUnit] = {
    unit.name: unit
    for unit in (
        *(ConcentrationUnit(name, shift) for name, shift in _SCALES.items()),
        *(ConcentrationUnit(f"log10{name}", shift, 10) for name, shift in _SCALES.items()),
        *(ConcentrationUnit(f"ln{name}", shift, math.e) for name, shift in _SCALES.items()),
    )
}
# "log10(uM)", "ln_IC50 (µM)", "umol/L", "micromolar", "log(M)".
_SPELLING = re.compile(
    r"(?P<log>log10|log|ln)?(?P<scale>milli|micro|nano|pico|[munp])?(?P<unit>mol/?l|molar|m)"
)
_SCALE_LETTERS = {"milli": "m", "micro": "u", "nano": "n", "pico": "p"}
_BY_MASS = re.compile(r"[munp]?g/[munp]?l|[munp]?g\s*per\s*[munp]?l|%")


def concentration_unit(text: str, where: str) -> ConcentrationUnit:
    """Tell a unit of concentration from how people write it.

    ``M``, ``mM``, ``uM``, ``µM``, ``nM``, ``pM``, ``umol/L``, ``micromolar``, and their logarithms
    as ``log10(M)``, ``log10 uM`` or ``ln(uM)``. A bare ``log`` is refused: it could be either.

    Args:
        text: As a file or an option states it.
        where: File and column, or option, for messages.

    Raises:
        InputError: If it is no unit of concentration, or one by mass.
    """
    known = CONCENTRATION_UNITS.get(text.strip())
    if known is not None:
        return known
    word = re.sub(r"[\s_()\[\].-]+", "", text.strip()).replace("µ", "u").replace("μ", "u")
    if _BY_MASS.fullmatch(word.lower()):
        raise InputError(
            f"{where}: '{text}' is a concentration by mass; convert it to molar with each "
            "compound's molar mass"
        )
    match = _SPELLING.fullmatch(word.lower())
    if match is None or match["log"] == "log":
        raise InputError(
            f"{where}: '{text}' is no unit of concentration"
            + (" (log to which base?)" if match else did_you_mean(text, CONCENTRATION_UNITS))
            + f"; known are {', '.join(CONCENTRATION_UNITS)}"
        )
    scale = _SCALE_LETTERS.get(match["scale"] or "", match["scale"] or "")
    # "MM" and "Mm" could be milli or nothing at all; only a small m before a large M is milli.
    if scale == "m" and len(match["unit"]) == 1 and not word.endswith("mM"):
        raise InputError(f"{where}: '{text}' could be M or mM; write 'M' or 'mM'")
    return CONCENTRATION_UNITS[f"{match['log'] or ''}{scale}M"]


def to_log10_molar(values: Floats, unit: ConcentrationUnit) -> Floats:
    """Convert concentrations to log10 molar; missing stays missing, 0 becomes -inf.

    Args:
        values: In the unit.
        unit: The unit.

    Raises:
        ValueError: If a concentration is negative.
    """
    if unit.log_base is None:
        if (values < 0).any():
            raise ValueError(f"a concentration is negative: {np.nanmin(values)} {unit.name}")
        with np.errstate(divide="ignore"):
            logs = np.log10(values)
    else:
        logs = values * math.log10(unit.log_base)
    return np.asarray(logs + unit.log10_molar)


@dataclass(frozen=True)
class ResponseUnit:
    """A way to state what a well shows against untreated wells.

    Args:
        quantity: "viability" (100 without drug, 0 nothing left), "inhibition" (100 minus it) or
            "growth" (100 without drug, 0 as many cells as at the start, -100 nothing left).
        scale: What the file's number for "as without drug" is of viability: 100, or 1.
    """

    quantity: str
    scale: float


RESPONSE_UNITS: dict[str, ResponseUnit] = {
    f"{quantity}_{name}": ResponseUnit(quantity, scale)
    for quantity in ("viability", "inhibition", "growth")
    for name, scale in (("percent", 100.0), ("fraction", 1.0))
}


def convert_response(values: Floats, have: str, want: str) -> Floats:
    """Convert wells' responses; missing stays missing.

    Args:
        values: The responses.
        have: A name of `RESPONSE_UNITS`, which they are in.
        want: The one wanted.

    Raises:
        InputError: Between growth and the others, which lack the cells at time zero.
    """
    source, target = RESPONSE_UNITS[have], RESPONSE_UNITS[want]
    if source.quantity != target.quantity and "growth" in (source.quantity, target.quantity):
        raise InputError(
            f"{source.quantity} cannot be converted to {target.quantity}: that needs the cells at "
            "time zero (T0), which the response does not hold; take it as what it is"
        )
    fraction = values / source.scale
    if source.quantity != target.quantity:
        fraction = 1 - fraction
    return np.asarray(fraction * target.scale)


def growth_from_viability(viability_percent: Floats, time_zero_percent: Floats) -> Floats:
    """Compute percent growth where the cells at time zero were counted.

    Args:
        viability_percent: Cells at the end, in percent of untreated wells at the end.
        time_zero_percent: Cells at the start, likewise; between 0 and 100.

    Raises:
        ValueError: If a time zero does not lie between 0 and 100: untreated cells did not grow.
    """
    if not ((time_zero_percent > 0) & (time_zero_percent < 100)).all():
        raise ValueError("a time zero does not lie between 0 and 100 percent of untreated cells")
    control = np.full_like(viability_percent, 100.0)
    return percent_growth(viability_percent, control, time_zero_percent)


def response_converter(kind: ResponseKind, unit: str, option: str) -> Callable[[Floats], Floats]:
    """Give the conversion of responses from a unit to that of their kind.

    IC50, GI50, TGI, LC50: any unit of concentration, its logarithm, or ``pIC50`` (minus log10
    molar). Growth and viability: ``percent``, ``fraction``, or a name of `RESPONSE_UNITS`, such as
    ``inhibition_percent``. AUC and scores of synergy: ``percent`` or ``fraction``.

    Args:
        kind: What was measured.
        unit: As the option states it.
        option: The option, for messages.

    Returns:
        A function of numbers; what it cannot convert becomes infinite or missing.

    Raises:
        InputError: If the kind is not measured in that unit.
    """
    if kind.unit == "log10 molar":
        if unit.lower().replace("_", "") in ("pic50", "pgi50", "-log10m"):
            return np.negative
        known = concentration_unit(unit, option)
        return lambda values: to_log10_molar(
            values if known.log_base else np.where(values > 0, values, np.nan), known
        )
    quantity = {"growth": "growth", "min_growth": "growth", "viability": "viability"}.get(
        kind.name
    )
    scales = {"percent": 100.0, "fraction": 1.0}
    if quantity is not None:
        have = f"{quantity}_{unit}" if unit in scales else unit
        if have in RESPONSE_UNITS:
            try:  # refused here where it cannot be, not at the first row
                convert_response(np.zeros(1), have, f"{quantity}_percent")
            except InputError as error:
                raise InputError(f"{option} {unit}: {error}") from error
            return lambda values: convert_response(values, have, f"{quantity}_percent")
        names = [*scales, *RESPONSE_UNITS]
    elif kind.unit in ("fraction", "percentage points", "percent inhibition"):
        want = 1.0 if kind.unit == "fraction" else 100.0
        if unit in scales:
            return lambda values: values * (want / scales[unit])
        names = [*scales]
    else:
        raise InputError(
            f"{option}: a response of kind '{kind.name}' is taken in {kind.unit} only"
        )
    raise InputError(
        f"{option} {unit}: '{kind.name}' is converted from {', '.join(names)}"
        f"{did_you_mean(unit, names)}"
    )

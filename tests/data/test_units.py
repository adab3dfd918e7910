import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.schema import RESPONSE_KINDS
from combo_lightning.data.units import (
    CONCENTRATION_UNITS,
    RESPONSE_UNITS,
    concentration_unit,
    convert_response,
    growth_from_viability,
    response_converter,
    to_log10_molar,
)
from combo_lightning.errors import InputError


@pytest.mark.parametrize(
    ("value", "unit", "log10_molar"),
    [
        (1e-6, "M", -6.0),
        (1.0, "mM", -3.0),
        (10.0, "uM", -5.0),
        (50.0, "nM", math.log10(5e-8)),
        (1.0, "pM", -12.0),
        (-7.5, "log10M", -7.5),
        (0.5, "log10uM", -5.5),
        (2.0, "log10nM", -7.0),
        # GDSC: LN_IC50 is the natural logarithm of micromolar.
        (math.log(3.2), "lnuM", math.log10(3.2e-6)),
        (0.0, "uM", -math.inf),
    ],
)
def test_concentrations_become_log10_molar(value: float, unit: str, log10_molar: float) -> None:
    found = to_log10_molar(np.array([value, np.nan]), CONCENTRATION_UNITS[unit])
    assert found[0] == pytest.approx(log10_molar)
    assert np.isnan(found[1])


@given(st.floats(-12, 0), st.sampled_from(sorted(CONCENTRATION_UNITS)))
def test_a_thousand_of_a_unit_is_one_of_the_next(log10_molar: float, name: str) -> None:
    scales = ["M", "mM", "uM", "nM", "pM"]
    unit = CONCENTRATION_UNITS[name]
    following = scales.index(re.sub("^(ln|log10)", "", name)) + 1
    if following < len(scales):
        prefix = name.removesuffix(scales[following - 1])
        less = CONCENTRATION_UNITS[prefix + scales[following]]
        value = np.array([10.0**log10_molar if prefix == "" else log10_molar])
        more = (
            1000 * value if prefix == "" else value + 3 * (1 if prefix[1] == "o" else math.log(10))
        )
        assert to_log10_molar(more, less)[0] == pytest.approx(to_log10_molar(value, unit)[0])


def test_a_negative_concentration_is_refused() -> None:
    with pytest.raises(ValueError, match=r"negative: -0\.5 uM"):
        to_log10_molar(np.array([1.0, -0.5]), CONCENTRATION_UNITS["uM"])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("uM", "uM"), ("µM", "uM"), ("μM", "uM"), ("UM", "uM"), (" nM ", "nM"), ("NM", "nM"),
        ("umol/L", "uM"), ("micromolar", "uM"), ("Molar", "M"), ("M", "M"), ("mM", "mM"),
        ("millimolar", "mM"), ("mmol/L", "mM"), ("log10(M)", "log10M"), ("log10 uM", "log10uM"),
        ("ln(uM)", "lnuM"), ("LN_uM", "lnuM"), ("log10[M]", "log10M"), ("log10M", "log10M"),
    ],
)  # fmt: skip
def test_units_are_told_however_they_are_written(text: str, name: str) -> None:
    assert concentration_unit(text, "--x").name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ug/ml", "by mass; convert it to molar"),
        ("mg/L", "by mass"),
        ("%", "by mass"),
        ("log(M)", "to which base"),
        ("MM", "could be M or mM"),
        ("log10 MM", "could be M or mM"),
        ("uMM", "no unit of concentration"),
        ("", "no unit of concentration"),
        ("percent", "no unit of concentration"),
        ("log10uN", "did you mean 'log10uM'"),
    ],
)
def test_what_is_no_unit_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        concentration_unit(text, "--dose_unit")
    assert str(error.value).startswith("--dose_unit: ")


@pytest.mark.parametrize(
    ("value", "have", "want", "expected"),
    [
        (0.25, "viability_fraction", "viability_percent", 25.0),
        (25.0, "viability_percent", "inhibition_percent", 75.0),
        (120.0, "viability_percent", "inhibition_fraction", -0.2),
        (0.75, "inhibition_fraction", "viability_percent", 25.0),
        (-0.5, "growth_fraction", "growth_percent", -50.0),
        (40.0, "growth_percent", "growth_percent", 40.0),
    ],
)
def test_responses_are_converted(value: float, have: str, want: str, expected: float) -> None:
    found = convert_response(np.array([value, np.nan]), have, want)
    assert found[0] == pytest.approx(expected)
    assert np.isnan(found[1])


@pytest.mark.parametrize("have", [name for name in RESPONSE_UNITS if "growth" not in name])
@pytest.mark.parametrize("want", ["growth_percent", "growth_fraction"])
def test_growth_needs_time_zero_either_way(have: str, want: str) -> None:
    with pytest.raises(InputError, match=r"cannot be converted to growth: .*take it as what"):
        convert_response(np.ones(2), have, want)
    with pytest.raises(InputError, match=r"needs the cells at time zero \(T0\).*take it as what"):
        convert_response(np.ones(2), want, have)


def test_growth_follows_from_viability_and_time_zero() -> None:
    viability, start = np.array([100.0, 25.0, 62.5, 12.5, 0.0]), np.full(5, 25.0)
    found = growth_from_viability(viability, start)
    np.testing.assert_allclose(found, [100, 0, 50, -50, -100])
    with pytest.raises(ValueError, match="does not lie between 0 and 100"):
        growth_from_viability(viability, np.full(5, 100.0))


@pytest.mark.parametrize(
    ("kind", "unit", "value", "expected"),
    [
        ("ic50", "uM", 1.0, -6.0),
        ("gi50", "nM", 10.0, -8.0),
        ("ic50", "ln(uM)", np.log(100.0), -4.0),
        ("lc50", "log10uM", 2.0, -4.0),
        ("ic50", "pIC50", 6.5, -6.5),
        ("growth", "fraction", 0.5, 50.0),
        ("min_growth", "growth_fraction", -0.5, -50.0),
        ("viability", "inhibition_percent", 30.0, 70.0),
        ("viability", "inhibition_fraction", 0.3, 70.0),
        ("viability", "percent", 30.0, 30.0),
        ("auc", "percent", 80.0, 0.8),
        ("bliss", "fraction", 0.1, 10.0),
    ],
)
def test_responses_are_converted_to_the_unit_of_their_kind(
    kind: str, unit: str, value: float, expected: float
) -> None:
    convert = response_converter(RESPONSE_KINDS[kind], unit, "--response_unit")
    np.testing.assert_allclose(convert(np.array([value])), [expected])


@pytest.mark.parametrize(
    ("kind", "unit", "message"),
    [
        ("growth", "viability_percent", "viability cannot be converted to growth.*T0"),
        ("growth", "percents", "'growth' is converted from percent, fraction, viability_percent"),
        ("zscore", "percent", "'zscore' is taken in standard deviations only"),
        ("ic50", "furlong", "no unit of concentration"),
        ("auc", "uM", "'auc' is converted from percent, fraction"),
    ],
)
def test_units_that_a_kind_is_not_measured_in_are_refused(
    kind: str, unit: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        response_converter(RESPONSE_KINDS[kind], unit, "--response_unit")

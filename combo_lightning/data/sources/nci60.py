"""NCI-60 single-agent screens: GI50, TGI, LC50 and IC50 of a curve, and the growth at each dose.

Three layouts of the DTP. Since 2021 ``GI50.csv``, ``TGI.csv``, ``LC50.csv`` and ``IC50.csv`` have
the same columns, a row an experiment, log10 molar; ``DOSERESP.csv`` has the doses behind them.
Until 2020 ``CANCER60GI50.LST`` has a row for all experiments of a highest concentration, with
-log10 molar. A response that lies outside the concentrations tested is stated as the highest or
the lowest of them. Source: NCI's description of the files, and code that reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from combo_lightning.data.columns import true_rows
from combo_lightning.data.sources.columns import plain
from combo_lightning.data.sources.drug_schema import tidy_identifiers
from combo_lightning.data.sources.long_screen import Batch, Floats, LongFormat, Mask, Measure
from combo_lightning.data.sources.screen import OPTION, ScreenSource
from combo_lightning.errors import InputError

ENDPOINTS = ("gi50", "tgi", "lc50", "ic50")
# Concentrations were rounded to one decimal of log10 in the older layout, and to four since.
_ROUNDED_OLD, _ROUNDED = 0.0501, 0.0001
# Most series are five concentrations, each a tenth of the one before.
_SERIES = 4
# 1,000 molar: no solution is that strong, so that the sign must be another.
_IMPOSSIBLE = 3


def _nsc(batch: Batch) -> Any:
    return tidy_identifiers("nsc", batch.text("NSC"))


def _panel(*names: str) -> Any:
    """Build the tissue of a panel: NCI-ALMANAC's files say Renal, these say Renal Cancer too."""
    return lambda batch: pc.replace_substring_regex(batch.text(*names), r" Cancer$", "")


def _equals(batch: Batch, name: str, value: str) -> Mask:
    return true_rows(pc.equal(batch.text(name), value))


def _unusable(batch: Batch) -> Mapping[str, Mask]:
    """Tell concentrations by mass or volume, and compounds that are not of the NSC series."""
    bad = {"concentration not molar": ~_equals(batch, "CONCENTRATION_UNIT", "M")}
    if batch.text("PREFIX") is not None:
        bad["NSC number of another series than S"] = ~_equals(batch, "PREFIX", "S")
    return bad


def _at_limits(value_R: Floats, highest_R: Floats, rounded: float) -> Mapping[str, Mask]:
    return {
        "responses equal the highest concentration tested: the true one is that or above": (
            np.abs(value_R - highest_R) <= rounded
        ),
        "responses equal the lowest of five concentrations: the true one is that or below": (
            np.abs(value_R - highest_R + _SERIES) <= rounded
        ),
    }


def _remarks(batch: Batch, response: str) -> Mapping[str, Mask]:
    value, highest = batch.numbers("AVERAGE"), batch.numbers("LOG_HI_CONCENTRATION")
    if response not in ENDPOINTS or value is None or highest is None:
        return {}
    molar = _equals(batch, "CONCENTRATION_UNIT", "M")
    expected = "log10 molar was expected, as -6 for 1 uM; if it is -log10 molar, turn the sign"
    batch.refuse(molar & (value > _IMPOSSIBLE), "AVERAGE", expected)
    return _at_limits(value, highest, _ROUNDED)


@dataclass(frozen=True)
class Endpoints(LongFormat):
    """The layout of GI50.csv, TGI.csv, LC50.csv and IC50.csv, which does not tell them apart."""

    def open(self, path: Path, response: str) -> ScreenSource:
        """Open a file.

        Raises:
            InputError: If its name says that it holds another endpoint.
        """
        word = plain(path.name.split(".")[0])
        said = [name for name in ENDPOINTS if word.startswith(name) or word.endswith(name)]
        if said and response not in said:
            raise InputError(
                f"{OPTION}: {path} is called {said[0].upper()}, and its columns do not tell which "
                f"endpoint it holds: say --response {said[0]}, or call it otherwise if it is "
                f"{response.upper()}"
            )
        return super().open(path, response)


NCI60_ENDPOINTS = Endpoints(
    name="NCI-60 GI50, TGI, LC50 or IC50",
    told_by=(
        "EXPID",
        "NSC",
        "CONCENTRATION_UNIT",
        "LOG_HI_CONCENTRATION",
        "PANEL_NAME",
        "CELL_NAME",
        "AVERAGE",
    ),
    cell=("CELL_NAME",),
    drugs=(("NSC",),),
    measures={name: Measure(("AVERAGE",)) for name in ENDPOINTS},
    study_name="NCI-60",
    tissue=("(tissue)",),
    drug_facts=({"nsc": ("NSC",)},),
    derived={"NSC": _nsc, "(tissue)": _panel("PANEL_NAME")},
    nsc_only=True,
    unusable=_unusable,
    remarks=_remarks,
    extra=("PREFIX", "CONCENTRATION_UNIT", "LOG_HI_CONCENTRATION", "PANEL_NAME", "AVERAGE"),
)
NCI60_DOSE_RESPONSE = LongFormat(
    name="NCI-60 dose response",
    told_by=(
        "EXPID",
        "NSC",
        "CONCENTRATION_UNIT",
        "CONCENTRATION",
        "PANEL_NAME",
        "CELL_NAME",
        "AVERAGE_GIPRCNT",
    ),
    cell=("CELL_NAME",),
    drugs=(("NSC",),),
    measures={
        "growth": Measure(("AVERAGE_GIPRCNT",), None, (("CONCENTRATION",),), "log10M"),
        "viability": Measure(("AVERAGE_PTC",), None, (("CONCENTRATION",),), "log10M"),
    },
    study_name="NCI-60",
    tissue=("(tissue)",),
    drug_facts=({"nsc": ("NSC",)},),
    derived={"NSC": _nsc, "(tissue)": _panel("PANEL_NAME")},
    nsc_only=True,
    unusable=_unusable,
    extra=("PREFIX", "CONCENTRATION_UNIT", "PANEL_NAME"),
)


def _unusable_old(batch: Batch) -> Mapping[str, Mask]:
    return {"concentration not molar": ~_equals(batch, "CONCUNIT", "M")}


def _remarks_old(batch: Batch, response: str) -> Mapping[str, Mask]:
    name = f"NLOG{response.upper()}"
    value, highest = batch.numbers(name), batch.numbers("LCONC")
    if value is None or highest is None:
        return {}
    molar = _equals(batch, "CONCUNIT", "M")
    expected = "-log10 molar was expected, as 6 for 1 uM; if it is log10 molar, turn the sign"
    batch.refuse(molar & (value < -_IMPOSSIBLE), name, expected)
    return _at_limits(-value, highest, _ROUNDED_OLD)


NCI60_OLD = LongFormat(
    name="NCI-60 endpoints of before 2021",
    told_by=("NSC", "CONCUNIT", "LCONC", "PANEL", "CELL"),
    cell=("CELL",),
    drugs=(("NSC",),),
    measures={name: Measure((f"NLOG{name.upper()}",), np.negative) for name in ENDPOINTS},
    study_name="NCI-60",
    tissue=("(tissue)",),
    drug_facts=({"nsc": ("NSC",)},),
    derived={"NSC": _nsc, "(tissue)": _panel("PANEL")},
    nsc_only=True,
    unusable=_unusable_old,
    remarks=_remarks_old,
    extra=("CONCUNIT", "LCONC", "PANEL"),
)

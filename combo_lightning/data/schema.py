"""What a data set holds: columns, response kinds and their units.

Units inside a data set, one per quantity: concentrations are log10 of molar (``log10_molar``);
responses are in the unit of their kind, below.
"""

from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

SCHEMA_VERSION = 1

ResponseName = Literal[
    "growth", "viability", "min_growth", "combo_score", "ic50", "gi50", "tgi", "lc50", "auc",
    "zscore", "synergy", "bliss", "hsa", "loewe", "zip", "css", "s_sum", "s_mean", "s_max",
    "other",
]  # fmt: skip


@dataclass(frozen=True)
class ResponseKind:
    """What was measured.

    Args:
        name: Kind of response, one of `ResponseName`.
        unit: Unit of every number in the ``response`` column.
        per_dose: Whether each row was measured at a stated dose of each of its drugs.
    """

    name: str
    unit: str
    per_dose: bool = False


RESPONSE_KINDS: dict[str, ResponseKind] = {
    kind.name: kind
    for kind in (
        ResponseKind("growth", "percent growth", per_dose=True),
        ResponseKind("viability", "percent of control", per_dose=True),
        ResponseKind("min_growth", "percent growth"),
        ResponseKind("combo_score", "ComboScore points"),
        ResponseKind("ic50", "log10 molar"),
        ResponseKind("gi50", "log10 molar"),
        ResponseKind("tgi", "log10 molar"),
        ResponseKind("lc50", "log10 molar"),
        ResponseKind("auc", "fraction"),
        ResponseKind("zscore", "standard deviations"),
        ResponseKind("synergy", "percent growth"),
        # Percentage points of inhibition over what was expected: positive is synergy.
        ResponseKind("bliss", "percentage points"),
        ResponseKind("hsa", "percentage points"),
        ResponseKind("loewe", "percentage points"),
        ResponseKind("zip", "percentage points"),
        # DrugComb's sensitivity to a combination, and what it exceeds the single drugs' by.
        ResponseKind("css", "percent inhibition"),
        ResponseKind("s_sum", "percentage points"),
        ResponseKind("s_mean", "percentage points"),
        ResponseKind("s_max", "percentage points"),
        ResponseKind("other", "as given"),
    )
}


def drug_columns(num_slots: int) -> list[str]:
    """Name the drug columns of a response table: ``drug_1`` to ``drug_K``."""
    return [f"drug_{slot}" for slot in range(1, num_slots + 1)]


def dose_columns(num_slots: int) -> list[str]:
    """Name the dose columns of a response table: ``log10_molar_1`` to ``log10_molar_K``."""
    return [f"log10_molar_{slot}" for slot in range(1, num_slots + 1)]


def response_schema(num_slots: int) -> pa.Schema:
    """Give the Arrow schema of ``responses.parquet``.

    Args:
        num_slots: K, the most drugs that one row combines, at least 1.

    Returns:
        ``cell_id``, ``drug_1..K`` (null: no drug in the slot), ``log10_molar_1..K`` (null where
        there is no drug or the response is not per dose), ``response``, ``weight``, ``study``.
    """
    name = pa.dictionary(pa.int32(), pa.string())
    fields: list[Any] = [pa.field("cell_id", name, nullable=False)]
    fields += [pa.field(column, name) for column in drug_columns(num_slots)]
    fields += [pa.field(column, pa.float32()) for column in dose_columns(num_slots)]
    fields += [
        pa.field("response", pa.float32(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("study", name),
    ]
    return pa.schema(fields)

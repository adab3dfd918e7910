"""PRISM repurposing, secondary screen: ``secondary-screen-dose-response-curve-parameters.csv``.

One row a curve: a compound in a line in one of the screens HTS002, MTS005, MTS006 and MTS010.
``auc`` is the area under the viability curve over the doses tested, as a fraction of theirs (1: no
effect); ``ic50`` in micromolar is empty where the curve does not fall to a half. A line that
failed its STR profile may be another. Source: DepMap; columns and rules from code that reads the
file, and from the code that made it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc

from combo_lightning.data.columns import true_rows
from combo_lightning.data.sources.long_screen import Batch, Floats, LongFormat, Mask, Measure


def _first_structure(batch: Batch) -> Any:
    """Take the first of the structures that stand between commas; SMILES have none themselves."""
    return pc.replace_substring_regex(batch.text("smiles"), r"^([^,]*\S)\s*,.*$", r"\1")


def _named(batch: Batch) -> Any:
    """Name a compound by its name; some of the collection's have none."""
    return pc.coalesce(batch.text("name"), batch.text("broad_id"))


def _line_name(batch: Batch) -> Any:
    """Give CCLE's name without the tissue: A549 of A549_LUNG."""
    return pc.replace_substring_regex(batch.text("ccle_name"), r"_.*$", "")


def _tissue(batch: Batch) -> Any:
    """Give the tissue of CCLE's name: lung of A549_LUNG."""
    name = batch.text("ccle_name")
    found = pc.struct_field(pc.extract_regex(name, r"^[^_]*_(?P<tissue>.+)$"), "tissue")
    return pc.replace_substring(pc.utf8_lower(found), "_", " ")


def _unusable(batch: Batch) -> Mapping[str, Mask]:
    passed = pc.equal(pc.utf8_lower(batch.text("passed_str_profiling")), "true")
    return {"the line did not pass STR profiling": ~true_rows(passed)}


def _remarks(batch: Batch, response: str) -> Mapping[str, Mask]:
    value = batch.numbers(response)
    if response == "ic50" and value is not None:
        batch.refuse(value <= 0, "ic50", "a concentration in uM, above 0, was expected")
    mask = true_rows(pc.match_substring(batch.text("smiles"), ","))
    return {"rows state several structures of their compound (the first is taken)": mask}


def _log10_molar(micromolar: Floats) -> Floats:
    # `_remarks` refuses what is not above 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log10(micromolar) - 6)


PRISM = LongFormat(
    name="PRISM dose-response curves",
    told_by=(
        "broad_id",
        "depmap_id",
        "ccle_name",
        "auc",
        "ic50",
        "smiles",
        "passed_str_profiling",
    ),
    cell=("depmap_id",),
    drugs=(("(drug)",),),
    measures={"auc": Measure(("auc",)), "ic50": Measure(("ic50",), _log10_molar)},
    study=("screen_id",),
    tissue=("(tissue)",),
    cell_names=("ccle_name", "(line)"),
    drug_facts=(
        {
            "name": ("name",),
            "synonyms": ("broad_id",),
            "smiles": ("(structure)",),
            "mechanism": ("moa",),
        },
    ),
    derived={
        "(drug)": _named,
        "(tissue)": _tissue,
        "(line)": _line_name,
        "(structure)": _first_structure,
    },
    unusable=_unusable,
    remarks=_remarks,
    extra=("name", "broad_id", "ccle_name", "smiles", "passed_str_profiling"),
)

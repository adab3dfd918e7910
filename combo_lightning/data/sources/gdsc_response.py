"""GDSC fitted dose response: ``GDSC1_fitted_dose_response_*.xlsx``, ``GDSC2_...``; csv and xlsx.

One row a curve: a compound in a cell line. ``LN_IC50`` is the natural logarithm of micromolar,
``AUC`` the area under the viability curve as a fraction (1: no effect), ``Z_SCORE`` of ln IC50
among all lines under the compound. A drug screened under two DRUG_IDs has two rows in a line.
The table that the web site exports (``PANCANCER_IC_*.csv``) has the same under other names: its
``IC50`` is the logarithm too. Source: cancerrxgene.org; columns from code that reads them.
"""

from collections.abc import Mapping

import numpy as np

from combo_lightning.data.sources.long_screen import Batch, Floats, LongFormat, Mask, Measure
from combo_lightning.data.units import CONCENTRATION_UNITS, to_log10_molar

# In micromolar, in the releases since 2018 and before.
_HIGHEST = ("MAX_CONC", "MAX_CONC_MICROMOLAR")


def _log10_molar(ln_micromolar: Floats) -> Floats:
    return to_log10_molar(ln_micromolar, CONCENTRATION_UNITS["lnuM"])


def _remarks(batch: Batch, response: str) -> Mapping[str, Mask]:
    """Tell IC50s beyond the highest concentration that was tested, and what Z-scores are over."""
    ln_ic50, highest = batch.numbers("LN_IC50", "IC50"), batch.numbers(*_HIGHEST)
    if response == "zscore" and ln_ic50 is not None:
        known = "Z-scores are over all lines of a compound, later test lines too, as GDSC has them"
        return {known: np.ones(len(ln_ic50), dtype=bool)}
    if response != "ic50" or ln_ic50 is None or highest is None:
        return {}
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = ln_ic50 > np.log(highest)
    return {"IC50s lie beyond the highest concentration tested (kept as fitted)": beyond}


GDSC = LongFormat(
    name="GDSC fitted dose response",
    told_by=("COSMIC_ID", "CELL_LINE_NAME", "DRUG_NAME", "LN_IC50"),
    cell=("CELL_LINE_NAME",),
    drugs=(("DRUG_NAME",),),
    measures={
        "ic50": Measure(("LN_IC50",), _log10_molar),
        "auc": Measure(("AUC",)),
        "zscore": Measure(("Z_SCORE",)),
    },
    study=("DATASET",),
    tissue=("TCGA_DESC",),
    cell_names=("COSMIC_ID", "SANGER_MODEL_ID"),
    # Named, so that a compound called 123138 is not looked for as a CID.
    drug_facts=({"name": ("DRUG_NAME",), "mechanism": ("PUTATIVE_TARGET",)},),
    remarks=_remarks,
    extra=(*_HIGHEST, "LN_IC50"),
)
GDSC_WEB = LongFormat(
    name="GDSC's web export",
    told_by=("Drug Name", "Drug ID", "Cell Line Name", "Cosmic ID", "IC50", "Max Conc"),
    cell=("Cell Line Name",),
    drugs=(("Drug Name",),),
    measures={
        "ic50": Measure(("IC50",), _log10_molar),
        "auc": Measure(("AUC",)),
        "zscore": Measure(("Z score",)),
    },
    study=("Dataset Version",),
    tissue=("TCGA Classification",),
    cell_names=("Cosmic ID",),
    drug_facts=({"name": ("Drug Name",)},),
    remarks=_remarks,
    extra=("Max Conc", "IC50"),
)

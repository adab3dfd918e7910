"""A simulated screen of single drugs as GDSC ships it: fitted dose response, and RMA expression.

Shapes: N curves, D drugs.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from combo_lightning.data.simulator import Simulation, SimulationConfig, simulate
from combo_lightning.data.simulator_raw import raw_folder
from combo_lightning.errors import InputError

Floats = npt.NDArray[np.float64]

CURVES = "GDSC2_fitted_dose_response.csv"
EXPRESSION = "Cell_line_RMA_proc_basalExp.txt"
# The highest dose lies so far above a drug's middle dose, the lowest so far below, in log10.
_HALF_RANGE = 1.5
_COSMIC = 1_900_001
_STEPS = 61


def write_gdsc(config: SimulationConfig, out: Path, *, overwrite: bool) -> dict[str, float]:
    """Write a folder of raw files: curves in GDSC's 19 columns, expression, drugs.

    Noise is added to the IC50s, in log10 molar; AUC and Z-score follow from what was measured, as
    at GDSC.

    Args:
        config: What to simulate: the response "ic50".
        out: The folder to make: ``GDSC2_fitted_dose_response.csv``, lines by COSMIC id in
            ``Cell_line_RMA_proc_basalExp.txt``, and ``drugs.csv``.
        overwrite: Replace such a folder.

    Returns:
        R2 of the true function on the measured IC50s and Z-scores, by kind of response.

    Raises:
        InputError: If `out` is there, or drugs have no structures.
    """
    if config.drug_features is not None:
        raise InputError("GDSC's drugs have structures; use the preset small or demo")
    simulation = simulate(config)
    measured_N = simulation.response_N.astype(np.float64)
    drug_N = simulation.drug_NK[:, 0]
    mean_N, sd_N = _by_drug(measured_N, drug_N)
    with raw_folder(out, CURVES, overwrite=overwrite) as folder:
        pacsv.write_csv(_curves(simulation, (measured_N - mean_N) / sd_N), folder / CURVES)
        _write_expression(simulation, folder / EXPRESSION)
        drugs = simulation.drugs
        named = {"DRUG_NAME": drugs.annotation("name"), "SMILES": drugs.annotation("smiles")}
        pacsv.write_csv(pa.table(named), folder / "drugs.csv")
    true_N = simulation.true_N
    scores = (measured_N - mean_N) / sd_N, (true_N - mean_N) / sd_N
    return {"ic50": _r2(measured_N, true_N), "zscore": _r2(*scores)}


def _by_drug(values_N: Floats, drug_N: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Give the mean and standard deviation of each row's drug over its lines."""
    count_D = np.bincount(drug_N)
    mean_N = (np.bincount(drug_N, values_N) / np.maximum(count_D, 1))[drug_N]
    variance_D = np.bincount(drug_N, (values_N - mean_N) ** 2) / np.maximum(count_D, 1)
    return mean_N, np.sqrt(variance_D)[drug_N]


def _r2(measured_N: Floats, predicted_N: Floats) -> float:
    rest = ((measured_N - predicted_N) ** 2).sum()
    return float(1 - rest / ((measured_N - measured_N.mean()) ** 2).sum())


def _curves(simulation: Simulation, zscore_N: Floats) -> pa.Table:
    cell_N, drug_N = simulation.cell_N, simulation.drug_NK[:, 0]
    measured_N = simulation.response_N.astype(np.float64)
    middle_N = simulation.truth.middle_D[drug_N]
    dose_NS = middle_N[:, None] + np.linspace(-_HALF_RANGE, _HALF_RANGE, _STEPS)
    bound_NS = 1 / (1 + 10.0 ** np.clip(measured_N[:, None] - dose_NS, -8, 8))
    auc_N = 1 - (1 - simulation.truth.floor_D[drug_N]) * bound_NS.mean(axis=1)
    count = len(cell_N)
    names = np.array(simulation.drugs.annotation("name"), dtype=object)
    tissue = np.array(simulation.cells.annotation("tissue"), dtype=object)
    return pa.table(
        {
            "DATASET": ["GDSC2"] * count,
            "NLME_RESULT_ID": np.full(count, 282),
            "NLME_CURVE_ID": np.arange(count) + 15_946_310,
            "COSMIC_ID": cell_N + _COSMIC,
            "CELL_LINE_NAME": np.array(simulation.cells.ids, dtype=object)[cell_N],
            "SANGER_MODEL_ID": [f"SIDM{cell:05d}" for cell in cell_N.tolist()],
            "TCGA_DESC": tissue[cell_N],
            "DRUG_ID": drug_N + 1001,
            "DRUG_NAME": names[drug_N],
            "PUTATIVE_TARGET": [""] * count,
            "PATHWAY_NAME": ["Unclassified"] * count,
            "COMPANY_ID": np.full(count, 1046),
            "WEBRELEASE": ["Y"] * count,
            "MIN_CONC": 10.0 ** (middle_N - _HALF_RANGE + 6),
            "MAX_CONC": 10.0 ** (middle_N + _HALF_RANGE + 6),
            "LN_IC50": (measured_N + 6) * np.log(10),
            "AUC": auc_N,
            "RMSE": np.full(count, 0.05),
            "Z_SCORE": zscore_N,
        }
    )


def _write_expression(simulation: Simulation, path: Path) -> None:
    """Write genes as rows, lines as ``DATA.<COSMIC id>``; lines without expression are absent."""
    block = simulation.cells.blocks["expression"]
    columns: dict[str, object] = {
        "GENE_SYMBOLS": list(block.feature_names),
        "GENE_title": [f"simulated gene {i + 1}" for i in range(len(block.feature_names))],
    }
    for cell, values in enumerate(block.values_EF):
        if not np.isnan(values).all():
            columns[f"DATA.{cell + _COSMIC}"] = values
    options = pacsv.WriteOptions(delimiter="\t", quoting_style="none")
    pacsv.write_csv(pa.table(columns), path, write_options=options)

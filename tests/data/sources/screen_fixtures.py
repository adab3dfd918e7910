"""Single-drug screens in the layouts that the public sources give them, with invented values."""

import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.data.sources.fuzz import Table
from tests.data.sources.xlsx import workbook

Fields = Mapping[str, str]


def rows_of(header: Sequence[str], shared: Fields, rows: Sequence[Fields]) -> list[list[str]]:
    """Write rows by column, where those that are not named hold what all share."""
    assert set(shared) | {name for row in rows for name in row} <= set(header)
    return [[{**shared, **row}.get(name, "") for name in header] for row in rows]


_GDSC = (
    "DATASET", "NLME_RESULT_ID", "NLME_CURVE_ID", "COSMIC_ID", "CELL_LINE_NAME",
    "SANGER_MODEL_ID", "TCGA_DESC", "DRUG_ID", "DRUG_NAME", "PUTATIVE_TARGET", "PATHWAY_NAME",
    "COMPANY_ID", "WEBRELEASE", "MIN_CONC", "MAX_CONC", "LN_IC50", "AUC", "RMSE", "Z_SCORE",
)  # fmt: skip
_MCF7 = {
    "COSMIC_ID": "905946", "CELL_LINE_NAME": "MCF7", "SANGER_MODEL_ID": "SIDM00148",
    "TCGA_DESC": "BRCA",
}  # fmt: skip
_A549 = {
    "COSMIC_ID": "905949", "CELL_LINE_NAME": "A549", "SANGER_MODEL_ID": "SIDM00903",
    "TCGA_DESC": "LUAD",
}  # fmt: skip
_KARPAS = {
    "COSMIC_ID": "907272", "CELL_LINE_NAME": "KARPAS-299", "SANGER_MODEL_ID": "SIDM00612",
}  # fmt: skip
_LUMINESPIB = {
    "DRUG_ID": "1559", "DRUG_NAME": "Luminespib", "PUTATIVE_TARGET": "HSP90, GRP94",
    "PATHWAY_NAME": "Protein stability and degradation",
}  # fmt: skip
# MCF7 was screened with Camptothecin twice, under two DRUG_IDs; KARPAS-299 has no TCGA_DESC; the
# last IC50 lies beyond the highest concentration.
GDSC2 = Table(
    header=_GDSC,
    rows=rows_of(
        _GDSC,
        {
            "DATASET": "GDSC2", "NLME_RESULT_ID": "343", "NLME_CURVE_ID": "15946310",
            "DRUG_ID": "1003", "DRUG_NAME": "Camptothecin", "PUTATIVE_TARGET": "TOP1",
            "PATHWAY_NAME": "DNA replication", "COMPANY_ID": "1046", "WEBRELEASE": "Y",
            "MIN_CONC": "0.0001", "MAX_CONC": "0.1", "RMSE": "0.089052",
        },
        [
            {**_MCF7, "LN_IC50": "-3.463887", "AUC": "0.930220", "Z_SCORE": "0.433123"},
            {
                **_MCF7, "DRUG_ID": "2003", "LN_IC50": "-3.25", "AUC": "0.9", "Z_SCORE": "0.5",
            },
            {**_A549, "LN_IC50": "-4.869455", "AUC": "0.614970", "Z_SCORE": "-1.421100"},
            {
                **_KARPAS, **_LUMINESPIB, "LN_IC50": "-3.360586", "AUC": "0.791072",
                "Z_SCORE": "-0.599569",
            },
            {
                **_A549, **_LUMINESPIB, "MAX_CONC": "1000.5", "LN_IC50": "7.5", "AUC": "0.592660",
                "Z_SCORE": "-0.516591",
            },
        ],
    ),
    numbers=("LN_IC50", "AUC", "Z_SCORE", "MAX_CONC"),
    required=("CELL_LINE_NAME", "DRUG_NAME", "LN_IC50", "COSMIC_ID"),
)  # fmt: skip
_WEB = (
    "Drug Name", "Drug ID", "Cell Line Name", "Cosmic ID", "TCGA Classification", "Tissue",
    "Tissue Sub-type", "IC50", "AUC", "Max Conc", "RMSE", "Z score", "Dataset Version",
)  # fmt: skip
# What the web site exports: ln(uM) under the name IC50.
GDSC_WEB = Table(
    header=_WEB,
    rows=rows_of(
        _WEB,
        {
            "Drug Name": "Camptothecin", "Drug ID": "1003", "RMSE": "0.089052",
            "Dataset Version": "GDSC2",
        },
        [
            {
                "Cell Line Name": "MCF7", "Cosmic ID": "905946", "TCGA Classification": "BRCA",
                "Tissue": "breast", "Tissue Sub-type": "breast", "IC50": "-1.463887",
                "AUC": "0.930220", "Max Conc": "0.1", "Z score": "0.433123",
            },
            {
                "Cell Line Name": "A549", "Cosmic ID": "905949", "TCGA Classification": "LUAD",
                "Tissue": "lung", "Tissue Sub-type": "lung_NSCLC", "IC50": "-4.869455",
                "AUC": "0.614970", "Max Conc": "1000.5", "Z score": "-1.421100",
            },
        ],
    ),
    numbers=("IC50", "AUC", "Z score", "Max Conc"),
    required=("Drug Name", "Cell Line Name", "IC50", "Cosmic ID"),
)  # fmt: skip
_H23 = {
    "PANEL_NUMBER": "1", "CELL_NUMBER": "1", "PANEL_NAME": "Non-Small Cell Lung Cancer",
    "CELL_NAME": "NCI-H23", "PANEL_CODE": "LNS",
}  # fmt: skip
_A498 = {
    "PANEL_NUMBER": "9", "CELL_NUMBER": "13", "PANEL_NAME": "Renal Cancer", "CELL_NAME": "A498",
    "PANEL_CODE": "REN",
}  # fmt: skip
_ENDPOINTS = (
    "RELEASE_DATE", "EXPID", "PREFIX", "NSC", "CONCENTRATION_UNIT", "LOG_HI_CONCENTRATION",
    "PANEL_NUMBER", "CELL_NUMBER", "PANEL_NAME", "CELL_NAME", "PANEL_CODE", "COUNT", "AVERAGE",
    "STDDEV",
)  # fmt: skip
_RELEASE = {
    "RELEASE_DATE": "20210223", "EXPID": "0303RS52", "PREFIX": "S", "NSC": "740",
    "CONCENTRATION_UNIT": "M", "LOG_HI_CONCENTRATION": "-4",
}  # fmt: skip
# A GI50 at the highest concentration and one at the lowest, a biological in ug/ml, a value that is
# missing, and a compound measured in two experiments.
NCI60 = Table(
    header=_ENDPOINTS,
    rows=rows_of(
        _ENDPOINTS,
        {**_RELEASE, "COUNT": "1", "STDDEV": "0"},
        [
            {**_H23, "AVERAGE": "-7.4031"},
            {
                "PANEL_NUMBER": "4", "CELL_NUMBER": "2", "PANEL_NAME": "Breast Cancer",
                "CELL_NAME": "MDA-MB-231/ATCC", "PANEL_CODE": "BRE", "AVERAGE": "-4",
            },
            {**_H23, "EXPID": "0401MD02", "AVERAGE": "-7.2519"},
            {
                **_H23, "EXPID": "0401MD02", "NSC": "123127", "LOG_HI_CONCENTRATION": "-4.6021",
                "COUNT": "2", "AVERAGE": "-8.6021", "STDDEV": "0.0231",
            },
            {
                **_H23, "EXPID": "0401MD02", "NSC": "612445", "CONCENTRATION_UNIT": "u",
                "LOG_HI_CONCENTRATION": "1.5", "AVERAGE": "0.3",
            },
            {**_A498, "EXPID": "0401MD02", "NSC": "123127", "COUNT": "", "STDDEV": ""},
        ],
    ),
    numbers=("AVERAGE", "LOG_HI_CONCENTRATION"),
    required=("NSC", "CELL_NAME", "AVERAGE", "LOG_HI_CONCENTRATION", "EXPID"),
)  # fmt: skip
_OLD = (
    "NSC", "CONCUNIT", "LCONC", "PANEL", "CELL", "PANELNBR", "CELLNBR", "NLOGGI50", "INDN",
    "TOTN", "STDDEV",
)  # fmt: skip
# The fields are padded, as NCI's are.
NCI60_OLD = Table(
    header=_OLD,
    rows=rows_of(
        _OLD,
        {
            "NSC": "740       ", "CONCUNIT": "M ", "LCONC": "-4.00",
            "PANEL": "Non-Small Cell Lung           ", "CELL": "NCI-H23             ",
            "PANELNBR": "1   ", "CELLNBR": "1   ", "INDN": "2   ", "TOTN": "2   ",
            "STDDEV": "0.107",
        },
        [
            {"NLOGGI50": "7.328"},
            {
                "PANEL": "Breast                        ", "CELL": "MDA-MB-231/ATCC     ",
                "PANELNBR": "5   ", "CELLNBR": "5   ", "NLOGGI50": "4.000",
            },
            {"NSC": "123127    ", "LCONC": "-4.60", "NLOGGI50": "8.602"},
            {"NSC": "612445    ", "CONCUNIT": "u ", "LCONC": "1.50", "NLOGGI50": "-0.300"},
        ],
    ),
    numbers=("NLOGGI50", "LCONC"),
    required=("NSC", "CELL", "NLOGGI50", "LCONC", "CONCUNIT"),
    suffix=".LST",
)  # fmt: skip
_DOSES = (
    "RELEASE_DATE", "EXPID", "PREFIX", "NSC", "CONCENTRATION_UNIT", "LOG_HI_CONCENTRATION",
    "CONCENTRATION", "PANEL_NUMBER", "CELL_NUMBER", "PANEL_NAME", "CELL_NAME", "PANEL_CODE",
    "COUNT_GIPRCNT", "AVERAGE_GIPRCNT", "STDDEV_GIPRCNT", "COUNT_PTC", "AVERAGE_PTC",
    "STDDEV_PTC",
)  # fmt: skip
# The third has no PTC, the fourth is in ug/ml, the fifth has no value at all.
NCI60_DOSE = Table(
    header=_DOSES,
    rows=rows_of(
        _DOSES,
        {**_RELEASE, **_A498, "NSC": "726263", "COUNT_GIPRCNT": "1", "STDDEV_GIPRCNT": "0"},
        [
            {
                "CONCENTRATION": "-7", "AVERAGE_GIPRCNT": "108.3221", "COUNT_PTC": "1",
                "AVERAGE_PTC": "102.502", "STDDEV_PTC": "0",
            },
            {
                "CONCENTRATION": "-6.5", "AVERAGE_GIPRCNT": "54.25", "COUNT_PTC": "1",
                "AVERAGE_PTC": "61.5", "STDDEV_PTC": "0",
            },
            {"CONCENTRATION": "-4", "AVERAGE_GIPRCNT": "-62.5"},
            {
                "NSC": "612445", "CONCENTRATION_UNIT": "u", "LOG_HI_CONCENTRATION": "1.5",
                "CONCENTRATION": "0.5", "AVERAGE_GIPRCNT": "12",
            },
            {"CONCENTRATION": "-5", "COUNT_GIPRCNT": "", "STDDEV_GIPRCNT": ""},
        ],
    ),
    numbers=("AVERAGE_GIPRCNT", "CONCENTRATION"),
    required=("NSC", "CELL_NAME", "AVERAGE_GIPRCNT", "CONCENTRATION", "EXPID"),
)  # fmt: skip
_PRISM = (
    "broad_id", "depmap_id", "ccle_name", "screen_id", "upper_limit", "lower_limit", "slope", "r2",
    "auc", "ec50", "ic50", "name", "moa", "target", "disease.area", "indication", "smiles",
    "phase", "passed_str_profiling", "row_name",
)  # fmt: skip
_ASPIRIN = {
    "broad_id": "BRD-K11433652-001-20-5", "name": "aspirin", "moa": "cyclooxygenase inhibitor",
    "target": "PTGS1, PTGS2", "disease.area": "rheumatology", "indication": "pain, fever",
    "smiles": "CC(=O)Oc1ccccc1C(O)=O, CC(=O)Oc1ccccc1C([O-])=O", "phase": "Launched",
}  # fmt: skip
_UNNAMED = {"broad_id": "BRD-K11111111-001-01-1", "smiles": "CCO", "phase": "Preclinical"}
# Two screens of one drug and line; a curve that does not reach 50 %; a drug without a name; two
# lines that CCLE calls TT; a line that failed its STR profile.
PRISM = Table(
    header=_PRISM,
    rows=rows_of(
        _PRISM,
        {
            "depmap_id": "ACH-000019", "ccle_name": "MCF7_BREAST", "screen_id": "MTS010",
            "upper_limit": "1", "lower_limit": "0.012", "slope": "1.06", "r2": "0.93",
            "ec50": "0.1", "passed_str_profiling": "TRUE", "row_name": "PR500_ACH-000019",
        },
        [
            {**_ASPIRIN, "auc": "0.5225", "ic50": "0.25"},
            {**_ASPIRIN, "screen_id": "HTS002", "auc": "0.6", "ic50": "0.5"},
            {
                **_ASPIRIN, "depmap_id": "ACH-000681", "ccle_name": "A549_LUNG",
                "lower_limit": "0.7", "auc": "0.91", "row_name": "PR500_ACH-000681",
            },
            {**_UNNAMED, "auc": "0.41", "ic50": "0.011"},
            {
                **_UNNAMED, "depmap_id": "ACH-000932", "ccle_name": "TT_THYROID", "auc": "0.31",
                "ic50": "1000.5", "row_name": "PR500_ACH-000932",
            },
            {
                **_UNNAMED, "depmap_id": "ACH-000048", "ccle_name": "TT_OESOPHAGUS", "auc": "0.21",
                "ic50": "0.009", "row_name": "PR500_ACH-000048",
            },
            {
                **_UNNAMED, "depmap_id": "ACH-000010", "ccle_name": "NCIH1_LUNG", "auc": "0.21",
                "ic50": "0.009", "passed_str_profiling": "FALSE", "row_name": "PR500_ACH-000010",
            },
        ],
    ),
    numbers=("auc", "ic50"),
    required=("broad_id", "depmap_id", "auc", "ic50", "passed_str_profiling"),
)  # fmt: skip


def write_xlsx(path: Path, table: Table, sheet: str = "Sheet 1") -> Path:
    """A workbook as GDSC ships it: numbers are numbers, empty cells are empty."""
    rows: list[list[str | float | None]] = [list(table.header)]
    rows += [[_cell(field) for field in row] for row in table.rows]
    path.write_bytes(workbook(rows, sheet))
    return path


def _cell(field: str) -> str | float | None:
    try:
        return float(field)
    except ValueError:
        return field or None


_CTRP_EXPERIMENTS = (
    "experiment_id", "run_id", "experiment_date", "culture_media", "baseline_signal",
    "cells_per_well", "growth_mode", "snp_fp_status", "master_ccl_id",
)  # fmt: skip
_CTRP_CURVES = (
    "experiment_id", "conc_pts_fit", "fit_num_param", "p1_conf_int_high", "p1_conf_int_low",
    "p2_conf_int_high", "p2_conf_int_low", "p4_conf_int_high", "p4_conf_int_low", "p1_center",
    "p2_slope", "p3_total_decline", "p4_baseline", "apparent_ec50_umol", "pred_pv_high_conc",
    "area_under_curve", "master_cpd_id",
)  # fmt: skip
_CTRP_COMPOUNDS = (
    "master_cpd_id", "cpd_name", "broad_cpd_id", "top_test_conc_umol", "cpd_status",
    "inclusion_rationale", "gene_symbol_of_protein_target", "target_or_activity_of_compound",
    "source_name", "source_catalog_id", "cpd_smiles",
)  # fmt: skip
_CTRP_LINES = (
    "master_ccl_id", "ccl_name", "ccl_availability", "ccle_primary_site", "ccle_primary_hist",
    "ccle_hist_subtype_1",
)  # fmt: skip
_CTRP_POINTS = ("experiment_id", "master_cpd_id", "cpd_conc_umol", "cpd_avg_pv", "cpd_pred_pv")
# Curves: experiment, compound, center, slope, baseline. The second line was measured twice; one
# drug does nothing, one is two, and one curve is of a compound that the metadata lack.
CTRP_CURVES = (
    ("1", "10", 1.0, -0.5, 0.0),
    ("2", "10", 3.0, -1.0, 0.25),
    ("3", "10", 2.5, -1.0, 0.25),
    ("3", "11", 0.0, -0.5, 0.9),
    ("2", "12", 0.0, -0.5, 0.1),
    ("2", "99", 0.0, -0.5, 0.1),
)
CTRP_TOP = {"10": 66.0, "11": 33.0, "12": 8.0, "99": 10.0}


def ctrp_viability(log2: float, center: float, slope: float, baseline: float) -> float:
    return baseline + (1 - baseline) / (1 + math.exp(-(log2 - center) / slope))


def ctrp_tables(steps: int = 15) -> dict[str, Table]:
    """All tables of a small release, by the names of the files.

    Args:
        steps: Two-fold steps of the concentrations that were tested.
    """
    curves, points = [], []
    for experiment, compound, *shape in CTRP_CURVES:
        top = math.log2(CTRP_TOP[compound])
        fine = [top - steps * (i + 0.5) / 4096 for i in range(4096)]
        area = sum(ctrp_viability(x, *shape) for x in fine) * steps / 4096
        named = {"experiment_id": experiment, "master_cpd_id": compound}
        curves.append(
            {
                **named, "p1_center": f"{shape[0]:.4g}", "p2_slope": f"{shape[1]:.4g}",
                "p3_total_decline": f"{1 - shape[2]:.4g}", "p4_baseline": f"{shape[2]:.4g}",
                "apparent_ec50_umol": f"{2 ** shape[0]:.4g}",
                "pred_pv_high_conc": f"{ctrp_viability(top, *shape):.4g}",
                "area_under_curve": f"{area:.5g}", "conc_pts_fit": str(steps + 1),
            }
        )  # fmt: skip
        for x in [top - i for i in range(steps + 1)]:
            value = f"{ctrp_viability(x, *shape):.4g}"
            points.append(
                {
                    **named,
                    "cpd_conc_umol": f"{2**x:.4g}",
                    "cpd_avg_pv": value,
                    "cpd_pred_pv": value,
                }
            )
    # Experiment 2 stands in two rows, of two days.
    experiments = [
        {"experiment_id": "1", "master_ccl_id": "130"},
        {"experiment_id": "2", "experiment_date": "20120611", "master_ccl_id": "569"},
        {"experiment_id": "2", "experiment_date": "20120612", "master_ccl_id": "569"},
        {"experiment_id": "3", "snp_fp_status": "SNP-unconfirmed", "master_ccl_id": "569"},
    ]
    compounds = [
        {"master_cpd_id": "10", "cpd_name": "aspirin", "cpd_smiles": "CC(=O)Oc1ccccc1C(O)=O"},
        {"master_cpd_id": "11", "cpd_name": "ethanol", "cpd_smiles": "CCO"},
        {"master_cpd_id": "12", "cpd_name": "aspirin:ethanol (2:1 mol/mol)"},
    ]
    for row in compounds:
        row["top_test_conc_umol"] = f"{CTRP_TOP[row['master_cpd_id']]:g}"
    lines = [
        {"master_ccl_id": "130", "ccl_name": "MCF7", "ccle_primary_site": "breast"},
        {
            "master_ccl_id": "569", "ccl_name": "KARPAS299",
            "ccle_primary_site": "haematopoietic_and_lymphoid_tissue",
        },
        {"master_ccl_id": "570", "ccl_name": "OVCAR8", "ccle_primary_site": "ovary"},
    ]  # fmt: skip
    shared = {
        "run_id": "7024-01-A01-02-01", "experiment_date": "20120501", "culture_media": "RPMI001",
        "baseline_signal": "1.195e-001", "cells_per_well": "500", "growth_mode": "adherent",
        "snp_fp_status": "SNP-matched-reference",
    }  # fmt: skip
    return {
        "v20.data.curves_post_qc.txt": _ctrp(_CTRP_CURVES, {"fit_num_param": "3"}, curves),
        "v20.data.per_cpd_post_qc.txt": _ctrp(_CTRP_POINTS, {}, points),
        "v20.meta.per_compound.txt": _ctrp(_CTRP_COMPOUNDS, {"cpd_status": "FDA"}, compounds),
        "v20.meta.per_cell_line.txt": _ctrp(_CTRP_LINES, {"ccl_availability": "ccle"}, lines),
        "v20.meta.per_experiment.txt": _ctrp(_CTRP_EXPERIMENTS, shared, experiments),
    }


def _ctrp(header: Sequence[str], shared: Fields, rows: Sequence[Fields]) -> Table:
    return Table(
        header, rows_of(header, shared, rows), numbers=(), required=(), delimiter="\t",
        suffix=".txt",
    )  # fmt: skip


def write_ctrp(folder: Path, tables: Mapping[str, Table], leave_out: Sequence[str] = ()) -> Path:
    """A release, unpacked: tabs, CR LF."""
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        if name not in leave_out:
            (folder / name).write_bytes(table.text("\r\n").encode())
    return folder


def zip_folder(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"release/{file.name}")
    return path

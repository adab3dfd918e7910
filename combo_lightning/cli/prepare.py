"""``combo-lightning prepare SOURCE``: read raw public files into a data set."""

import logging
import sys
from pathlib import Path
from typing import Literal

from combo_lightning.cli.main import invocation

logger = logging.getLogger(__name__)

Chemistry = Literal["descriptors", "morgan", "maccs"]


def almanac_combo_score(
    *,
    scores: Path,
    out: Path,
    drugs: list[Path] | Path | None = None,
    cells: Path | None = None,
    expression: Path | None = None,
    genes: Path | None = None,
    microrna: Path | None = None,
    protein: Path | None = None,
    rppa: Path | None = None,
    exome: Path | None = None,
    chemistry: tuple[Chemistry, ...] = ("descriptors", "morgan"),
    merge_duplicates: bool = False,
    overwrite: bool = False,
) -> None:
    """Prepare the wide table of NCI-ALMANAC ComboScores.

    Args:
        scores: The table, such as DTP_NCI60_ALMANAC_COMBO_SCORE.csv.gz.
        out: The data set to make, a directory.
        drugs: NSC numbers, names and structures: CSV, SDF, PubChem's or ChEMBL's exports, NCI's
            list of names; several as '[a,b]' are joined, see the page on drugs.
        cells: CSV with CELLNAME, PANEL (tissue).
        expression: Gene expression: a CellMiner text export, or Parquet with lines as rows.
        genes: Genes to keep of the expression, one a line; none: all.
        microrna: MicroRNA expression, a CellMiner text export.
        protein: Protein intensities (SWATH), a CellMiner text export.
        rppa: Reverse-phase protein array, a CellMiner text export.
        exome: Exome variants, a CellMiner text export.
        chemistry: Features to compute from SMILES.
        merge_duplicates: Make drugs of one InChIKey one drug.
        overwrite: Replace a data set that is there.
    """
    from combo_lightning.data.sources.almanac_combo_score import prepare_combo_scores
    from combo_lightning.data.sources.almanac_entities import EntityFiles

    profiles = _given(
        expression=expression, microrna=microrna, protein=protein, rppa=rppa, exome=exome
    )
    files = EntityFiles(_files(drugs), cells, profiles, genes, chemistry, merge_duplicates)
    made_by = {"command": invocation()}
    _say_done(prepare_combo_scores(scores, files, out, made_by, overwrite=overwrite))


def almanac_growth(
    *,
    growth: Path,
    out: Path,
    response: Literal["growth", "min-growth", "combo-score"] = "min-growth",
    fraction: bool = False,
    drugs: list[Path] | Path | None = None,
    cells: Path | None = None,
    expression: Path | None = None,
    genes: Path | None = None,
    microrna: Path | None = None,
    protein: Path | None = None,
    rppa: Path | None = None,
    exome: Path | None = None,
    chemistry: tuple[Chemistry, ...] = ("descriptors", "morgan"),
    merge_duplicates: bool = False,
    overwrite: bool = False,
) -> None:
    """Prepare NCI-ALMANAC's dose-level growth, one row a well.

    Args:
        growth: The file, such as ComboDrugGrowth_Nov2017.csv, gzip or plain.
        out: The data set to make, a directory.
        response: "growth" of every well, "min-growth" of a pair in a line over its doses (the
            published Combo model's), or the "combo-score" by the published rule.
        fraction: Divide growth by 100, as the published Combo model does.
        drugs: NSC numbers, names and structures: CSV, SDF, PubChem's or ChEMBL's exports, NCI's
            list of names; several as '[a,b]' are joined, see the page on drugs.
        cells: CSV with CELLNAME, PANEL (tissue).
        expression: Gene expression: a CellMiner text export, or Parquet with lines as rows.
        genes: Genes to keep of the expression, one a line; none: all.
        microrna: MicroRNA expression, a CellMiner text export.
        protein: Protein intensities (SWATH), a CellMiner text export.
        rppa: Reverse-phase protein array, a CellMiner text export.
        exome: Exome variants, a CellMiner text export.
        chemistry: Features to compute from SMILES.
        merge_duplicates: Make drugs of one InChIKey one drug.
        overwrite: Replace a data set that is there.
    """
    from combo_lightning.data.sources.almanac_entities import EntityFiles
    from combo_lightning.data.sources.almanac_growth import prepare_growth

    profiles = _given(
        expression=expression, microrna=microrna, protein=protein, rppa=rppa, exome=exome
    )
    files = EntityFiles(_files(drugs), cells, profiles, genes, chemistry, merge_duplicates)
    made_by = {"command": invocation()}
    _say_done(
        prepare_growth(
            growth, response, files, out, made_by, fraction=fraction, overwrite=overwrite
        )
    )


def table(
    *,
    responses: Path,
    out: Path,
    response: str = "other",
    cells: Path | None = None,
    drugs: list[Path] | Path | None = None,
    cell_column: str | None = None,
    drug_columns: list[str] | None = None,
    dose_columns: list[str] | None = None,
    response_column: str | None = None,
    weight_column: str | None = None,
    study_column: str | None = None,
    dose_unit: Literal["M", "mM", "uM", "nM", "log10M"] | None = None,
    matrix: bool = False,
    chemistry: tuple[Chemistry, ...] = ("descriptors", "morgan"),
    merge_duplicates: bool = False,
    overwrite: bool = False,
) -> None:
    """Prepare your own tables: CSV, TSV or Parquet.

    Args:
        responses: One row a measurement (or, with `matrix`, a combination).
        out: The data set to make, a directory.
        response: What was measured: growth, min_growth, combo_score, ic50, gi50, auc, zscore,
            synergy or other.
        cells: Cell lines: a name, optionally a tissue, one column a feature.
        drugs: Drugs: a name, optionally SMILES, one column a feature; or SDF, PubChem's or
            ChEMBL's exports, SMILES lists; several as '[a,b]' are joined.
        cell_column: Column of the cell line; none: guessed by name, as are the others.
        drug_columns: Columns of the drugs, slot by slot.
        dose_columns: Columns of their doses (response "growth").
        response_column: Column of the response.
        weight_column: Column of the rows' weights.
        study_column: Column of the study.
        dose_unit: Unit of the doses; none: as the columns' names end ("conc_1 (nM)"), else uM.
        matrix: Responses stand as a matrix: drug columns, then one column a cell line.
        chemistry: Features to compute from SMILES.
        merge_duplicates: Make drugs of one InChIKey one drug.
        overwrite: Replace a data set that is there.
    """
    from combo_lightning.data.sources.table import EntityTables, prepare_table
    from combo_lightning.data.sources.table_layout import TableMapping

    mapping = TableMapping(
        cell=cell_column,
        drugs=drug_columns,
        doses=dose_columns,
        response=response_column,
        weight=weight_column,
        study=study_column,
        dose_unit=dose_unit,
        matrix=matrix,
    )
    entities = EntityTables(cells, _files(drugs), chemistry, merge_duplicates)
    made_by = {"command": invocation()}
    _say_done(
        prepare_table(responses, response, mapping, entities, out, made_by, overwrite=overwrite)
    )


def _files(given: list[Path] | Path | None) -> list[Path]:
    return given if isinstance(given, list) else [given] if given else []


def _given(**profiles: Path | None) -> dict[str, Path]:
    return {name: path for name, path in profiles.items() if path is not None}


def _say_done(out: Path) -> None:
    sys.stdout.write(f"wrote {out}\nnext: combo-lightning info {out}\n")


SUBCOMMANDS = {
    "almanac-combo-score": almanac_combo_score,
    "almanac-growth": almanac_growth,
    "table": table,
}

"""``combo-lightning prepare SOURCE``: read raw public files into a data set."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from combo_lightning.cli.main import invocation
from combo_lightning.errors import InputError

if TYPE_CHECKING:  # heavy imports
    from combo_lightning.data.sources.screen_entities import EntityFiles

logger = logging.getLogger(__name__)

Chemistry = Literal["descriptors", "morgan", "maccs"]
Check = Literal["unit", "range", "direction", "dose", "plates"]


def almanac_combo_score(
    *,
    scores: Path,
    out: Path,
    cells: Path | None = None,
    accept: tuple[Check, ...] = (),
    overwrite: bool = False,
    **entities: Any,
) -> None:
    """Prepare the wide table of NCI-ALMANAC ComboScores.

    Args:
        scores: The table, such as DTP_NCI60_ALMANAC_COMBO_SCORE.csv.gz.
        out: The data set to make, a directory.
        cells: CSV with CELLNAME, PANEL (tissue).
        accept: Checks of the measurements to pass over, as '[unit,range,direction,dose,plates]'.
        overwrite: Replace a data set that is there.
        **entities: What describes cell lines and drugs, see `_entity_files`.
    """
    from combo_lightning.data.dataset_writer import Target
    from combo_lightning.data.sources.almanac_combo_score import prepare_combo_scores

    files = _entity_files(cells, **entities)
    target = Target(out, {"command": invocation()}, overwrite, accept)
    _say_done(prepare_combo_scores(scores, files, target))


def almanac_growth(
    *,
    growth: Path,
    out: Path,
    response: Literal["growth", "min-growth", "combo-score"] = "min-growth",
    fraction: bool = False,
    cells: Path | None = None,
    accept: tuple[Check, ...] = (),
    overwrite: bool = False,
    **entities: Any,
) -> None:
    """Prepare NCI-ALMANAC's dose-level growth, one row a well.

    Args:
        growth: The file, such as ComboDrugGrowth_Nov2017.csv, gzip or plain.
        out: The data set to make, a directory.
        response: "growth" of every well, "min-growth" of a pair in a line over its doses (the
            published Combo model's), or the "combo-score" by the published rule.
        fraction: Divide growth by 100, as the published Combo model does.
        cells: CSV with CELLNAME, PANEL (tissue).
        accept: Checks of the measurements to pass over, as '[unit,range,direction,dose,plates]'.
        overwrite: Replace a data set that is there.
        **entities: What describes cell lines and drugs, see `_entity_files`.
    """
    from combo_lightning.data.dataset_writer import Target
    from combo_lightning.data.sources.almanac_growth import prepare_growth

    files = _entity_files(cells, **entities)
    target = Target(out, {"command": invocation()}, overwrite, accept)
    _say_done(prepare_growth(growth, response, files, target, fraction=fraction))


def screen(
    *,
    responses: Path,
    response: str,
    out: Path,
    slots: int | None = None,
    wells: Literal["viability", "inhibition", "growth"] | None = None,
    accept: tuple[Check, ...] = (),
    overwrite: bool = False,
    **entities: Any,
) -> None:
    """Prepare a public screen: GDSC, NCI-60, CTRP, PRISM, DrugComb, O'Neil, dose matrices.

    Args:
        responses: The screen as it was downloaded, a file, or CTRP's folder or ZIP archive; its
            format is told by content.
        response: What to take of it: ic50, gi50, auc, zscore, viability, bliss, zip ...; a screen
            that lacks it says what it has.
        out: The data set to make, a directory.
        slots: Drug slots of a row, more than the screen's: the others stay empty.
        wells: What the wells of dose matrices state; none: as the column is called, or untreated
            wells tell.
        accept: Checks of the measurements to pass over, as '[unit,range,direction,dose,plates]'.
        overwrite: Replace a data set that is there.
        **entities: What describes cell lines and drugs, see `_entity_files`.
    """
    from combo_lightning.data.dataset_writer import Target
    from combo_lightning.data.sources.screen import ScreenRequest, prepare_screen
    from combo_lightning.data.sources.screen_formats import screen_formats

    files = _entity_files(None, **entities)
    request = ScreenRequest(responses, response, files, slots, wells)
    target = Target(out, {"command": invocation()}, overwrite, accept)
    _say_done(prepare_screen(request, screen_formats(wells), target))


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
    response_unit: str | None = None,
    weight_column: str | None = None,
    study_column: str | None = None,
    dose_unit: Literal["M", "mM", "uM", "nM", "log10M"] | None = None,
    matrix: bool = False,
    chemistry: tuple[Chemistry, ...] = ("descriptors", "morgan"),
    merge_duplicates: bool = False,
    accept: tuple[Check, ...] = (),
    overwrite: bool = False,
) -> None:
    """Prepare your own tables: CSV, TSV or Parquet.

    Args:
        responses: One row a measurement (or, with `matrix`, a combination).
        out: The data set to make, a directory.
        response: What was measured: growth, viability, min_growth, combo_score, ic50, gi50, tgi,
            lc50, auc, zscore, bliss, hsa, loewe, zip, synergy or other.
        cells: Cell lines: a name, optionally a tissue, one column a feature.
        drugs: Drugs: a name, optionally SMILES, one column a feature; or SDF, PubChem's or
            ChEMBL's exports, SMILES lists; several as '[a,b]' are joined.
        cell_column: Column of the cell line; none: guessed by name, as are the others.
        drug_columns: Columns of the drugs, slot by slot.
        dose_columns: Columns of their doses (responses growth and viability).
        response_column: Column of the response.
        response_unit: What it is converted from: uM, nM, ln(uM), pIC50 ...; percent, fraction,
            inhibition_percent ...; none: as the column is called (IC50 (nM)), else its kind's.
        weight_column: Column of the rows' weights.
        study_column: Column of the study.
        dose_unit: Unit of the doses; none: as the columns' names end ("conc_1 (nM)"), else uM.
        matrix: Responses stand as a matrix: drug columns, then one column a cell line.
        chemistry: Features to compute from SMILES.
        merge_duplicates: Make drugs of one InChIKey one drug.
        accept: Checks of the measurements to pass over, as '[unit,range,direction,dose,plates]'.
        overwrite: Replace a data set that is there.
    """
    from combo_lightning.data.dataset_writer import Target
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
        response_unit=response_unit,
    )
    entities = EntityTables(cells, _several(drugs), chemistry, merge_duplicates)
    target = Target(out, {"command": invocation()}, overwrite, accept)
    _say_done(prepare_table(responses, response, mapping, entities, target))


def dense(
    *,
    features: list[str],
    out: Path,
    responses: Path | None = None,
    slice: list[str] = [],  # noqa: B006  jsonargparse copies it
    response_column: str | None = None,
    test_features: list[str] = [],  # noqa: B006
    test_responses: Path | None = None,
    feature_names: Path | None = None,
    response: str = "other",
    disjoint_drugs: bool = False,
    validation_fraction: float = 0.1,
    accept: tuple[Check, ...] = (),
    overwrite: bool = False,
) -> None:
    """Prepare the dense matrices of LBANN and CANDLE: npy, npz, CSV or Parquet.

    Args:
        features: A row a measurement: features of the cell line, then of each drug. Given again:
            a file that stands beside the first.
        out: The data set to make, a directory.
        responses: One number a row; none: a column of the features.
        slice: Columns of one part, as in cell=0:921, drug_1=921:4750, drug_2=4750:8579 (ends not
            included) or ignore=8579:8580; given once for each. None: a part is a file.
        response_column: Name or number (from 0) of the column of responses.
        test_features: The same for rows that are the test part: writes OUT/split.parquet.
        test_responses: Their responses.
        feature_names: Names of all columns, one a line.
        response: What was measured: min_growth, combo_score, ic50, gi50, auc, zscore, synergy or
            other.
        disjoint_drugs: The slots share no drug, as in a screen of a library against anchors;
            otherwise that is taken for a wrong cut.
        validation_fraction: With test rows: share of all rows to validate on, from training.
        accept: Checks of the measurements to pass over, as '[unit,range,direction,dose,plates]'.
        overwrite: Replace a data set that is there.

    Raises:
        InputError: If there are responses of test rows and no test rows.
    """
    from combo_lightning.data.dataset_writer import Target
    from combo_lightning.data.sources.dense import DenseFiles, DenseLayout, prepare_dense

    if test_responses is not None and not test_features:
        raise InputError("--test_responses: there are no --test_features that they belong to")
    # Not list[Path]: jsonargparse would take a text file for a list of paths.
    parts = [DenseFiles([Path(name) for name in features], responses)]
    if test_features:
        names = [Path(name) for name in test_features]
        parts.append(DenseFiles(names, test_responses, "test_"))
    layout = DenseLayout(slice, response_column, feature_names, disjoint_drugs)
    target = Target(out, {"command": invocation()}, overwrite, accept)
    _say_done(prepare_dense(parts, response, layout, validation_fraction, target))


def _entity_files(
    cells: Path | None,
    *,
    drugs: list[Path] | Path | None = None,
    expression: Path | None = None,
    genes: Path | None = None,
    microrna: Path | None = None,
    protein: Path | None = None,
    rppa: Path | None = None,
    exome: Path | None = None,
    copy_number: Path | None = None,
    crispr: Path | None = None,
    methylation: Path | None = None,
    mutation: Path | None = None,
    cell_names: list[Path] | Path | None = None,
    chemistry: tuple[Chemistry, ...] = ("descriptors", "morgan"),
    merge_duplicates: bool = False,
) -> "EntityFiles":
    """Gather what describes cell lines and drugs; the options of several commands.

    Args:
        cells: Table of cell lines.
        drugs: Names, identifiers and structures: CSV, SDF, PubChem's or ChEMBL's exports, NCI's
            list of names; several as '[a,b]' are joined, see the page on drugs.
        expression: Gene expression; as all profiles in CellMiner's, DepMap's, GDSC's or the GDC's
            format, or any matrix, told by content.
        genes: Genes to keep of the expression, one a line; none: all.
        microrna: MicroRNA expression.
        protein: Protein intensities (SWATH).
        rppa: Reverse-phase protein array.
        exome: Exome variants.
        copy_number: Copy number of genes.
        crispr: Effect of knocking genes out.
        methylation: DNA methylation.
        mutation: Mutations of genes.
        cell_names: Other names of cell lines: DepMap's Model.csv, GDSC's table, cellosaurus.txt
            or your own; of several the first is believed.
        chemistry: Features to compute from structures.
        merge_duplicates: Make drugs of one InChIKey one drug.
    """
    from combo_lightning.data.sources.screen_entities import EntityFiles

    profiles = {
        "expression": expression,
        "microrna": microrna,
        "protein": protein,
        "rppa": rppa,
        "exome": exome,
        "copy_number": copy_number,
        "crispr": crispr,
        "methylation": methylation,
        "mutation": mutation,
    }
    given = {name: path for name, path in profiles.items() if path is not None}
    return EntityFiles(
        _several(drugs), cells, given, genes, chemistry, _several(cell_names), merge_duplicates
    )


def _several(given: list[Path] | Path | None) -> tuple[Path, ...]:
    return (given,) if isinstance(given, Path) else tuple(given or ())


def _say_done(out: Path) -> None:
    sys.stdout.write(f"wrote {out}\nnext: combo-lightning info {out}\n")


SUBCOMMANDS = {
    "almanac-combo-score": almanac_combo_score,
    "almanac-growth": almanac_growth,
    "dense": dense,
    "screen": screen,
    "table": table,
}
# Options that are given once for each of their values.
REPEATED = ("features", "slice", "test_features")
# Options that take several values, in brackets; those of plain words may lack them.
LISTS = ("accept", "chemistry", "drugs", "cell_names", "drug_columns", "dose_columns")

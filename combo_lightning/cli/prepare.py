"""``combo-lightning prepare SOURCE``: read raw public files into a data set."""

import logging
import sys
from pathlib import Path
from typing import Literal

logger = logging.getLogger(__name__)

Chemistry = Literal["descriptors", "morgan", "maccs"]


def almanac_combo_score(
    *,
    scores: Path,
    out: Path,
    drugs: Path | None = None,
    cells: Path | None = None,
    expression: Path | None = None,
    genes: Path | None = None,
    microrna: Path | None = None,
    protein: Path | None = None,
    rppa: Path | None = None,
    exome: Path | None = None,
    chemistry: list[Chemistry] = ["descriptors", "morgan"],  # noqa: B006  jsonargparse copies it
    overwrite: bool = False,
) -> None:
    """Prepare the wide table of NCI-ALMANAC ComboScores.

    Args:
        scores: The table, such as DTP_NCI60_ALMANAC_COMBO_SCORE.csv.gz.
        out: The data set to make, a directory.
        drugs: CSV with NSC, NAME, SMILES.
        cells: CSV with CELLNAME, PANEL (tissue).
        expression: Gene expression: a CellMiner text export, or Parquet with lines as rows.
        genes: Genes to keep of the expression, one a line; none: all.
        microrna: MicroRNA expression, a CellMiner text export.
        protein: Protein intensities (SWATH), a CellMiner text export.
        rppa: Reverse-phase protein array, a CellMiner text export.
        exome: Exome variants, a CellMiner text export.
        chemistry: Features to compute from SMILES.
        overwrite: Replace a data set that is there.
    """
    from combo_lightning.data.sources.almanac_combo_score import prepare_combo_scores
    from combo_lightning.data.sources.almanac_entities import EntityFiles

    profiles = _given(
        expression=expression, microrna=microrna, protein=protein, rppa=rppa, exome=exome
    )
    files = EntityFiles(drugs, cells, profiles, genes, chemistry)
    made_by = {"command": sys.argv[1:]}
    _say_done(prepare_combo_scores(scores, files, out, made_by, overwrite=overwrite))


def almanac_growth(
    *,
    growth: Path,
    out: Path,
    response: Literal["growth", "min-growth", "combo-score"] = "min-growth",
    fraction: bool = False,
    drugs: Path | None = None,
    cells: Path | None = None,
    expression: Path | None = None,
    genes: Path | None = None,
    microrna: Path | None = None,
    protein: Path | None = None,
    rppa: Path | None = None,
    exome: Path | None = None,
    chemistry: list[Chemistry] = ["descriptors", "morgan"],  # noqa: B006  jsonargparse copies it
    overwrite: bool = False,
) -> None:
    """Prepare NCI-ALMANAC's dose-level growth, one row a well.

    Args:
        growth: The file, such as ComboDrugGrowth_Nov2017.csv, gzip or plain.
        out: The data set to make, a directory.
        response: "growth" of every well, "min-growth" of a pair in a line over its doses (the
            published Combo model's), or the "combo-score" by the published rule.
        fraction: Divide growth by 100, as the published Combo model does.
        drugs: CSV with NSC, NAME, SMILES.
        cells: CSV with CELLNAME, PANEL (tissue).
        expression: Gene expression: a CellMiner text export, or Parquet with lines as rows.
        genes: Genes to keep of the expression, one a line; none: all.
        microrna: MicroRNA expression, a CellMiner text export.
        protein: Protein intensities (SWATH), a CellMiner text export.
        rppa: Reverse-phase protein array, a CellMiner text export.
        exome: Exome variants, a CellMiner text export.
        chemistry: Features to compute from SMILES.
        overwrite: Replace a data set that is there.
    """
    from combo_lightning.data.sources.almanac_entities import EntityFiles
    from combo_lightning.data.sources.almanac_growth import prepare_growth

    profiles = _given(
        expression=expression, microrna=microrna, protein=protein, rppa=rppa, exome=exome
    )
    files = EntityFiles(drugs, cells, profiles, genes, chemistry)
    made_by = {"command": sys.argv[1:]}
    _say_done(
        prepare_growth(
            growth, response, files, out, made_by, fraction=fraction, overwrite=overwrite
        )
    )


def _given(**profiles: Path | None) -> dict[str, Path]:
    return {name: path for name, path in profiles.items() if path is not None}


def _say_done(out: Path) -> None:
    sys.stdout.write(f"wrote {out}\nnext: combo-lightning info {out}\n")


SUBCOMMANDS = {
    "almanac-combo-score": almanac_combo_score,
    "almanac-growth": almanac_growth,
}

"""The cell lines and drugs of NCI-ALMANAC, with the features that the user's files bring."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from combo_lightning.data.chemistry import drug_blocks, inchikey
from combo_lightning.data.dataset import SourceFile
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.names import JoinReport, match_names
from combo_lightning.data.sources.cell_names_file import read_known_lines
from combo_lightning.data.sources.profile_block import files_of, profile_blocks
from combo_lightning.data.sources.raw_text import find_columns, read_rows
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EntityFiles:
    """The files that describe cell lines and drugs.

    Args:
        drugs: Table of the drugs: NSC, NAME, SMILES.
        cells: Table of the cell lines: CELLNAME, PANEL; None: names as in the scores, no tissue.
        profiles: Molecular profiles by block name, a key of `profile_block.KINDS`.
        genes: List of genes to keep of the expression; None: all.
        chemistry: Kinds of features to compute from SMILES.
        cell_names: Tables of other names of cell lines, the one to believe first comes first.
    """

    drugs: Path | None
    cells: Path | None
    profiles: Mapping[str, Path]
    genes: Path | None
    chemistry: Sequence[str]
    cell_names: Sequence[Path] = ()

    def sources(self) -> list[SourceFile]:
        """Describe every file that is given."""
        given = [self.drugs, self.cells, *self.profiles.values(), self.genes, *self.cell_names]
        files = [path for path in given if path is not None]
        return [SourceFile.of(file) for path in files for file in files_of(path)]


def build_cells(
    names: Sequence[str], tissues: Sequence[str | None], files: EntityFiles
) -> tuple[Entities, list[JoinReport]]:
    """Build the table of cell lines.

    Args:
        names: The lines, as the responses name them.
        tissues: Tissue of each where the responses tell; the file of cell lines comes first.
        files: What describes them.

    Raises:
        InputError: If a file does not fit.
    """
    reports: list[JoinReport] = []
    tissue = dict(zip(names, tissues, strict=True))
    synonyms: dict[str, list[str]] = {}
    if files.cells is not None:
        header, *rows = read_rows(files.cells, "--cells", ",")
        place = find_columns(header, ["CELLNAME", "PANEL"], files.cells, "--cells")
        table = {row[place["CELLNAME"]]: row for row in rows}
        report = match_names(names, table, "cell lines in --cells")
        reports.append(report)
        for name, found in report.matched.items():
            tissue[name] = table[found][place["PANEL"]] or tissue[name]
            others = {found} | {
                table[found][i] for i, h in enumerate(header) if h.upper() in ("CELL", "CELLMINER")
            }
            synonyms[name] = sorted(others - {name, ""})
    known = read_known_lines(files.cell_names) if files.cell_names else None
    if known is not None:
        for name in names:
            tissue[name] = tissue[name] or known.tissue(name)
            synonyms[name] = sorted({*synonyms.get(name, []), *known.synonyms(name)})
    blocks, more = profile_blocks(files.profiles, names, known, files.genes)
    reports += more
    annotations: dict[str, Sequence[Any]] = {
        "name": list(names),
        "tissue": [tissue[name] or None for name in names],
        "synonyms": [synonyms.get(name, []) for name in names],
    }
    return build_entities("cell", names, annotations, blocks), reports


def build_drugs(ids: Sequence[str], files: EntityFiles) -> tuple[Entities, list[JoinReport]]:
    """Build the table of drugs: names, structures, and features computed from them.

    Args:
        ids: NSC numbers, as the responses name them.
        files: What describes them.

    Raises:
        InputError: If a file does not fit, two rows of one NSC disagree, or a SMILES is wrong.
    """
    if files.drugs is None:
        logger.warning("no --drugs file: the drugs have no structure and no features")
        return build_entities("drug", ids, {"name": list(ids)}, []), []
    header, *rows = read_rows(files.drugs, "--drugs", ",")
    place = find_columns(header, ["NSC", "NAME", "SMILES"], files.drugs, "--drugs")
    table: dict[str, list[str]] = {}
    for line, row in enumerate(rows, start=2):
        fields = row + [""] * (len(header) - len(row))
        nsc = fields[place["NSC"]]
        if table.setdefault(nsc, fields) != fields:
            raise InputError(
                f"--drugs: {files.drugs}, line {line}: NSC {nsc} stands twice and the rows "
                "disagree; keep one"
            )
    report = match_names(ids, table, "drugs in --drugs", key=str)
    if not report.matched:
        raise InputError(
            f"--drugs: none of the {len(ids)} NSC numbers of the responses is in {files.drugs}"
        )
    column = _columns(table, ids, place)
    others = {i: h for i, h in enumerate(header) if h.upper() in ("MOA_CELLMINER", "MOA")}
    annotations: dict[str, Sequence[Any]] = {
        "name": [name or nsc for name, nsc in zip(column["NAME"], ids, strict=True)],
        "smiles": column["SMILES"],
        "inchikey": [
            inchikey(smiles, f"NSC {nsc}") if smiles else None
            for smiles, nsc in zip(column["SMILES"], ids, strict=True)
        ],
        "synonyms": [[f"NSC {nsc}", f"NSC{nsc}"] for nsc in ids],
    }
    for i in others:
        annotations["mechanism"] = [(table[n][i] or None) if n in table else None for n in ids]
    labels = [f"NSC {nsc}" for nsc in ids]
    blocks = drug_blocks(column["SMILES"], labels, files.chemistry)
    return build_entities("drug", ids, annotations, blocks), [report]


def _columns(
    table: Mapping[str, list[str]], ids: Sequence[str], place: Mapping[str, int]
) -> dict[str, list[str | None]]:
    return {
        name: [(table[nsc][i] or None) if nsc in table else None for nsc in ids]
        for name, i in place.items()
    }

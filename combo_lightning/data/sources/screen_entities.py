"""The cell lines and drugs of a public screen, with the features that the user's files bring."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from combo_lightning.data.cell_names import KnownLine
from combo_lightning.data.dataset import SourceFile
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.names import JoinReport, match_names
from combo_lightning.data.sources.cell_names_file import read_known_lines
from combo_lightning.data.sources.drug_entities import describe_drugs
from combo_lightning.data.sources.drug_names import find_drugs
from combo_lightning.data.sources.drug_schema import DrugTable
from combo_lightning.data.sources.drugs import read_drug_files
from combo_lightning.data.sources.profile_block import files_of, profile_blocks
from combo_lightning.data.sources.raw_text import find_columns, read_rows
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EntityFiles:
    """The files that describe cell lines and drugs.

    Args:
        drugs: Files of the drugs, joined: see `data.sources.drugs.read_drugs`.
        cells: Table of the cell lines: CELLNAME, PANEL; None: names as in the scores, no tissue.
        profiles: Molecular profiles by block name, a key of `profile_block.KINDS`.
        genes: List of genes to keep of the expression; None: all.
        chemistry: Kinds of features to compute from SMILES.
        cell_names: Tables of other names of cell lines, the one to believe first comes first.
        merge_duplicates: Make drugs of one InChIKey one drug.
    """

    drugs: Sequence[Path]
    cells: Path | None
    profiles: Mapping[str, Path]
    genes: Path | None
    chemistry: Sequence[str]
    cell_names: Sequence[Path] = ()
    merge_duplicates: bool = False

    def __post_init__(self) -> None:
        """Refuse genes of nothing.

        Raises:
            InputError: If there is a list of genes and no expression.
        """
        if self.genes is not None and "expression" not in self.profiles:
            raise InputError("--genes: there is no --expression whose genes it could keep")

    def sources(self) -> list[SourceFile]:
        """Describe every file that is given."""
        given = [
            *self.drugs, self.cells, *self.profiles.values(), self.genes, *self.cell_names
        ]  # fmt: skip
        files = [path for path in given if path is not None]
        return [SourceFile.of(file) for path in files for file in files_of(path)]


def build_cells(
    lines: Sequence[KnownLine], files: EntityFiles
) -> tuple[Entities, list[JoinReport]]:
    """Build the table of cell lines.

    Args:
        lines: The lines, as the responses name them, with what the screen tells of them; tissues
            of the file of cell lines come first.
        files: What describes them.

    Raises:
        InputError: If a file does not fit.
    """
    reports: list[JoinReport] = []
    names = [line.name for line in lines]
    tissue = {line.name: line.tissue for line in lines}
    synonyms = {line.name: set(line.others) for line in lines}
    if files.cells is not None:
        header, *rows = read_rows(files.cells, "--cells", ",")
        place = find_columns(header, ["CELLNAME", "PANEL"], files.cells, "--cells")
        table = {row[place["CELLNAME"]]: row for row in rows}
        report = match_names(names, table, "cell lines in --cells")
        reports.append(report)
        others = [i for i, h in enumerate(header) if h.upper() in ("CELL", "CELLMINER")]
        for name, found in report.matched.items():
            tissue[name] = table[found][place["PANEL"]] or tissue[name]
            synonyms[name] |= {found, *(table[found][i] for i in others)}
    told = [line for line in lines if line.others]
    known = read_known_lines(files.cell_names, told) if files.cell_names or told else None
    if known is not None:
        for name in names:
            tissue[name] = tissue[name] or known.tissue(name)
            synonyms[name] |= set(known.synonyms(name))
    blocks, more = profile_blocks(files.profiles, names, known, files.genes)
    reports += more
    annotations: dict[str, Sequence[Any]] = {
        "name": names,
        "tissue": [tissue[name] or None for name in names],
        "synonyms": [sorted(synonyms[name] - {name, ""}) for name in names],
    }
    return build_entities("cell", names, annotations, blocks), reports


def build_drugs(
    ids: Sequence[str],
    files: EntityFiles,
    own: DrugTable | None = None,
    *,
    nsc_only: bool = False,
) -> tuple[Entities, list[JoinReport]]:
    """Build the table of drugs: names, structures, and features computed from them.

    Args:
        ids: What the responses call the drugs.
        files: What describes them.
        own: What the screen tells of them; the user's files count more.
        nsc_only: Whether they are NSC numbers and nothing else.

    Raises:
        InputError: If a file does not fit, rows of one drug disagree, a SMILES is wrong, or there
            is no structure to compute features from.
    """
    if own is None and not files.drugs:
        logger.warning("no --drugs file: the drugs have no structure and no features")
        return build_entities("drug", ids, {"name": list(ids)}, []), []
    given = [read_drug_files(files.drugs, "--drugs")] if files.drugs else []
    table = DrugTable.join([*given, *([] if own is None else [own])])
    names = [] if own is None else own.rows.column("name").to_pylist()
    told = {name: row for row, name in enumerate(names, start=len(table) - len(names))}
    drugs, report = find_drugs(ids, table, "drugs in --drugs", nsc_only=nsc_only, told=told)
    shown = ", ".join(str(path) for path in files.drugs)
    if files.drugs and not report.matched:
        raise InputError(
            f"--drugs: none of the {len(ids)} drugs of the responses is in {shown}; the responses "
            f"have {', '.join(list(ids)[:4])}"
        )
    if files.drugs and files.chemistry and not any(file.has_smiles for file in table.files):
        raise InputError(
            f"--drugs: {shown} has no column 'SMILES' nor other structures; add a file that gives "
            "them (--drugs '[names.txt,structures.sdf]'), or say --chemistry '[]'"
        )
    annotations, blocks = describe_drugs(ids, drugs, table, files.chemistry, report.notes)
    if nsc_only:
        annotations["synonyms"] = [
            list(dict.fromkeys([f"NSC {nsc}", f"NSC{nsc}", *words]))
            for nsc, words in zip(ids, annotations["synonyms"], strict=True)
        ]
    drugs_table = build_entities("drug", ids, annotations, blocks)
    if files.drugs:
        return drugs_table, [report]
    for note in report.notes:
        logger.info("drugs: %s", note)
    return drugs_table, []

"""From files of molecular profiles to feature blocks of the data set's cell lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.cell_names import KnownLines
from combo_lightning.data.names import JoinReport
from combo_lightning.data.sources.profile import (
    Profile,
    block_for_lines,
    read_gene_list,
    select_genes,
)
from combo_lightning.data.sources.profile_file import line_test, read_profile
from combo_lightning.errors import InputError


@dataclass(frozen=True)
class ProfileKind:
    """What a molecular profile measures.

    Args:
        cellminer_unit: Unit of CellMiner's exports.
        units: Units in other layouts, by name of the layout; a layout that is not there gives no
            such profile. A user's own matrix is "as given".
        missing: What CellMiner's ``-`` and ``NA`` stand for.
    """

    cellminer_unit: str
    units: Mapping[str, str]
    missing: float = np.nan

    def unit(self, profile: Profile, option: str, path: Path) -> str:
        """Give the unit of a profile.

        Raises:
            InputError: If its layout is that of something else.
        """
        units = {"matrix": "as given", "CellMiner": self.cellminer_unit, **self.units}
        if profile.layout not in units:
            raise InputError(
                f"{option}: {path} is {profile.layout}'s table of gene expression; give it as "
                "--expression"
            )
        return units[profile.layout]


# DepMap's matrices have one layout, so that the option says what is in them.
_TPM = "log2(TPM + 1)"
KINDS: dict[str, ProfileKind] = {
    "expression": ProfileKind(
        "log2 intensity", {"DepMap": _TPM, "GDC": _TPM, "GDSC": "log2 intensity (RMA)"}
    ),
    "microrna": ProfileKind("log2 intensity", {"DepMap": "as released"}),
    "protein": ProfileKind("log intensity", {"DepMap": "as released"}),
    "rppa": ProfileKind("log2 intensity", {"DepMap": "as released"}),
    # Percent; "-" means that no function-affecting variant was seen.
    "exome": ProfileKind("percent", {"DepMap": "as released"}, missing=0.0),
    "copy_number": ProfileKind("as exported", {"DepMap": "relative copy number, as released"}),
    "crispr": ProfileKind("as exported", {"DepMap": "gene effect (-1: a common essential gene)"}),
    "methylation": ProfileKind("as exported", {"DepMap": "as released"}),
    "mutation": ProfileKind("as exported", {"DepMap": "as released"}),
}


def profile_blocks(
    profiles: Mapping[str, Path],
    lines: Sequence[str],
    known: KnownLines | None,
    genes: Path | None = None,
) -> tuple[list[FeatureBlock], list[JoinReport]]:
    """Read molecular profiles for the lines of a data set.

    Args:
        profiles: Files by block name, a key of `KINDS`.
        lines: The data set's lines.
        known: Tables of other names of cell lines.
        genes: List of genes to keep of the expression; None: all.

    Raises:
        InputError: If a file does not fit.
    """
    blocks, reports = [], []
    is_line = line_test(lines, known)
    for name, path in profiles.items():
        option, kind = f"--{name}", KINDS[name]
        profile = read_profile(path, option, missing=kind.missing, is_line=is_line)
        unit = kind.unit(profile, option, path)
        if name == "expression" and genes is not None:
            profile = select_genes(profile, read_gene_list(genes), name)
        block, report = block_for_lines(profile, lines, name, unit, known)
        blocks.append(block)
        reports.append(report)
    return blocks, reports


def files_of(path: Path) -> Iterator[Path]:
    """Give a file, or all files of a folder."""
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    else:
        yield path

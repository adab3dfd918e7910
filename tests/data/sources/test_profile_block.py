from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.cell_names import KnownLine
from combo_lightning.data.names import match_names
from combo_lightning.data.sources.cell_names_file import read_known_lines
from combo_lightning.data.sources.profile_block import KINDS, files_of, profile_blocks
from combo_lightning.data.sources.screen_entities import EntityFiles
from combo_lightning.errors import InputError
from tests.data.sources.profile_fixtures import (
    CELLOSAURUS,
    DEPMAP_NEW,
    GDSC,
    MODEL,
    write_star_folder,
)

LINES = ["MCF7", "A549/ATCC", "HL-60(TB)", "MDA-N"]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name, text in (
        ("Model.csv", MODEL), ("depmap.csv", DEPMAP_NEW), ("gdsc.txt", GDSC),
        ("cellosaurus.txt", CELLOSAURUS),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
    return tmp_path


def test_profiles_of_several_sources_are_laid_out_for_the_lines(raw: Path) -> None:
    known = read_known_lines([raw / "Model.csv"])
    profiles = {
        "expression": raw / "gdsc.txt", "crispr": raw / "depmap.csv",
        "copy_number": raw / "depmap.csv",
    }  # fmt: skip
    blocks, reports = profile_blocks(profiles, LINES, known)
    assert [b.unit for b in blocks] == [
        "log2 intensity (RMA)", "gene effect (-1: a common essential gene)",
        "relative copy number, as released",
    ]  # fmt: skip
    assert blocks[0].values_EF[:2].tolist() == [[7.5, 6.25], [3, 5]]
    assert np.isnan(blocks[0].values_EF[2:]).all()
    assert blocks[1].values_EF[2].tolist() == [0.125, 3, 7]
    assert reports[1].matched == dict(
        zip(LINES[:3], ["ACH-000019", "ACH-000681", "ACH-000002"], strict=True)
    )
    assert "3 of them by Model.csv: MCF7 = ACH-000019" in "\n".join(reports[1].lines())


def test_without_a_table_of_names_the_user_hears_of_it(raw: Path) -> None:
    # What the screen itself tells of its lines is no such table.
    of_screen = read_known_lines([], [KnownLine("MCF7", ("905946",))])
    for known in (None, of_screen):
        with pytest.raises(InputError, match=r"it has ACH-000019.*--cell_names takes a table"):
            profile_blocks({"crispr": raw / "depmap.csv"}, LINES, known)


def test_a_file_that_measured_nothing_of_the_lines_is_refused(raw: Path) -> None:
    (raw / "empty.csv").write_text("line,TP53\nMCF7,\nA549,NA\nx,1\n")
    with pytest.raises(InputError, match=r"no value of any of the 2 cell lines .* TP53"):
        profile_blocks({"protein": raw / "empty.csv"}, ["MCF7", "A549"], None)


def test_a_list_of_genes_needs_an_expression(raw: Path) -> None:
    with pytest.raises(InputError, match="--genes: there is no --expression"):
        EntityFiles([], None, {"crispr": raw / "depmap.csv"}, raw / "genes.txt", ())


def test_genes_are_kept_of_the_expression(raw: Path) -> None:
    (raw / "genes.txt").write_text("TP53\n")
    known = read_known_lines([raw / "cellosaurus.txt"])
    blocks, _ = profile_blocks({"expression": raw / "gdsc.txt"}, LINES, known, raw / "genes.txt")
    assert blocks[0].feature_names == ("TP53",)
    assert blocks[0].values_EF[0].tolist() == [6.25]


def test_a_table_of_expression_is_no_other_profile(raw: Path) -> None:
    with pytest.raises(InputError, match=r"--crispr: .* is GDSC's table of gene expression"):
        profile_blocks({"crispr": raw / "gdsc.txt"}, LINES, None)


def test_the_gdcs_samples_are_lines_too(tmp_path: Path) -> None:
    folder = write_star_folder(tmp_path)
    blocks, _ = profile_blocks({"expression": folder}, ["sample-1"], None)
    assert blocks[0].values_EF.tolist() == [[3, 1, 0]]
    assert blocks[0].unit == "log2(TPM + 1)"
    # The portal's sheet is also a table of names: of the cases.
    known = read_known_lines([next(folder.glob("*.tsv"))])
    blocks, _ = profile_blocks({"expression": folder}, ["case-1"], known)
    assert blocks[0].values_EF.tolist() == [[3, 1, 0]]
    assert len(list(files_of(folder))) == 6


def test_every_kind_has_a_unit_in_each_layout() -> None:
    for name, kind in KINDS.items():
        assert kind.cellminer_unit, name
        assert "DepMap" in kind.units, name


@pytest.mark.real_data
def test_the_sixty_lines_keep_their_join_beside_a_table_of_names(
    shared_data: Path, tmp_path: Path
) -> None:
    lines = list(pd.read_csv(shared_data / "almanac" / "cells.csv")["CELLNAME"])
    (tmp_path / "Model.csv").write_text(MODEL)
    known = read_known_lines([tmp_path / "Model.csv"])
    for name in ("Protein__Lysate_Array_log2.xls", "Protein__Lysate_Array_log2.txt.gz"):
        path = shared_data / "cellminer" / name
        plain, _ = profile_blocks({"rppa": path}, lines, None)
        helped, reports = profile_blocks({"rppa": path}, lines, known)
        assert not reports[0].unmatched
        np.testing.assert_array_equal(plain[0].values_EF, helped[0].values_EF)
    metadata = (shared_data / "cellminer" / "CELLMINER_CELL_LINE_METADATA.txt").read_text()
    older = [row.split("\t")[0] for row in metadata.splitlines()[1:] if ":" in row[:5]]
    assert len(match_names(lines, older, "lines").unmatched) <= 1

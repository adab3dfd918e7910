from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.sources.profile import block_for_lines, read_gene_list, select_genes
from combo_lightning.data.sources.profile_file import read_profile
from combo_lightning.errors import InputError
from tests.data.sources.fixtures import write_cellminer


@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n"])
def test_an_export_is_read_with_all_its_oddities(tmp_path: Path, line_end: str) -> None:
    profile = read_profile(write_cellminer(tmp_path / "x.txt", line_end), "--protein")
    assert profile.feature_names == ("probe_1", "probe_2", "probe_2#2")
    assert profile.genes == ("TP53 /// TP53B", "TP53", "EGFR")
    assert profile.cell_names == ("BR:MCF7", "LC:A549/ATCC", "LE:HL-60(TB)", "ME:MDA-N")
    np.testing.assert_array_equal(
        profile.values_EF,
        np.array(
            [[1.5, 1, 0], [-2.5, 9, 0.25], [np.nan, np.nan, 0.3], [0.5, -9, 4]], dtype=np.float32
        ),
    )


def test_features_are_named_by_a_column_that_names_each_once(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("Chr\tName\tBR:MCF7\tME:MDA-N\n7\tA\t1\t2\nX\tB\t3\t4\nX\tC\t5\t6\n")
    assert read_profile(path, "--rppa").feature_names == ("A", "B", "C")


def test_in_the_exome_a_dash_means_no_variant(tmp_path: Path) -> None:
    profile = read_profile(write_cellminer(tmp_path / "x.txt"), "--exome", missing=0.0)
    assert profile.values_EF[2].tolist()[:2] == [0, 0]


def test_lines_are_joined_by_key_and_absent_ones_are_missing(tmp_path: Path) -> None:
    profile = read_profile(write_cellminer(tmp_path / "x.txt"), "--protein")
    block, report = block_for_lines(profile, ["A549", "NCI-H23", "HL60TB"], "protein", "u")
    assert block.values_EF[0].tolist() == [-2.5, 9, 0.25]
    assert np.isnan(block.values_EF[1]).all()
    assert report.matched == {"A549": "LC:A549/ATCC", "HL60TB": "LE:HL-60(TB)"}
    with pytest.raises(InputError, match="no cell line of the data set is in the protein file"):
        block_for_lines(profile, ["HELA"], "protein", "u")


def test_a_gene_list_keeps_the_probe_that_varies_most(tmp_path: Path) -> None:
    profile = read_profile(write_cellminer(tmp_path / "x.txt"), "--expression")
    (tmp_path / "genes.txt").write_text("EGFR\nNOPE\n\nTP53\n")
    kept = select_genes(profile, read_gene_list(tmp_path / "genes.txt"), "expression")
    assert kept.feature_names == ("EGFR", "TP53")
    assert kept.values_EF[:2, 1].tolist() == [1, 9]
    assert select_genes(profile, ["TP53B"], "expression").values_EF[0, 0] == 1.5
    with pytest.raises(InputError, match="none of the 1 genes"):
        select_genes(profile, ["NOPE"], "expression")
    (tmp_path / "genes.txt").write_text("\n")
    with pytest.raises(InputError, match="names no gene"):
        read_gene_list(tmp_path / "genes.txt")


def test_a_parquet_matrix_is_a_profile_too(tmp_path: Path) -> None:
    frame = pd.DataFrame({"CELL": ["MCF7", "A549"], "TP53": [1.0, 2], "EGFR": [3.0, np.nan]})
    frame.to_parquet(tmp_path / "x.parquet")
    profile = read_profile(tmp_path / "x.parquet", "--expression")
    assert profile.cell_names == ("MCF7", "A549")
    assert profile.values_EF[0].tolist() == [1, 3]
    frame.assign(EGFR="text").to_parquet(tmp_path / "x.parquet")
    assert read_profile(tmp_path / "x.parquet", "--expression").feature_names == ("TP53",)
    (tmp_path / "x.parquet").write_text("PAR1 and nothing more")
    with pytest.raises(InputError, match="as Parquet"):
        read_profile(tmp_path / "x.parquet", "--expression")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\t1.5\t", "\tabc\t", "row 'probe_1', column 'BR:MCF7' holds 'abc'"),
        ("\t9\tNA\t-9", "\t9", "row 'probe_2' has 5 fields, the header 7; the file is cut"),
        ("BR:MCF7", "MCF7", "one column in its first line.* without lines above the header"),
    ],
)
def test_text_among_numbers_is_named_by_row_and_column(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write_cellminer(tmp_path / "x.txt", "\n")
    text = path.read_text().replace(old, new)
    if "without lines" in message:
        text = text.replace("LC:", "").replace("LE:", "").replace("ME:", "")
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_profile(path, "--protein")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("RNA__Agilent_Human_microRNA_(V2)_GeneSpringGX.txt.gz", 417),
        # 3,171 rows in the file itself; shared/data/README.md says 3,167.
        ("Protein_SWATH_int2.4.2_05192020.txt.gz", 3171),
        ("Protein__Lysate_Array_log2.txt.gz", 162),
        ("DNA__Exome_Seq_Protein_function_affecting.txt.gz", 9307),
        ("NCI60_cellsurface_329_log2.txt.gz", 329),
    ],
)
def test_the_real_exports_are_read(shared_data: Path, name: str, features: int) -> None:
    profile = read_profile(shared_data / "cellminer" / name, "--x")
    assert profile.values_EF.shape == (60, features)
    assert len(set(profile.feature_names)) == features
    lines = pd.read_csv(shared_data / "almanac" / "cells.csv")["CELLNAME"]
    _, report = block_for_lines(profile, list(lines), "x", "u")
    assert not report.unmatched


@pytest.mark.real_data
def test_the_landmark_genes_are_found_in_the_real_expression(shared_data: Path) -> None:
    folder = shared_data / "cellminer"
    profile = read_profile(folder / "RNA__Affy_HG_U133A_gene_maxvar.parquet", "--expression")
    assert profile.values_EF.shape == (59, 12980)
    genes = read_gene_list(folder / "lincs1000_genes.txt")
    assert len(genes) == 982
    assert select_genes(profile, genes, "expression").values_EF.shape == (59, 937)

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.sources.profile import Profile
from combo_lightning.data.sources.profile_file import line_test, read_profile
from combo_lightning.errors import InputError

LINES = ["MCF7", "A549/ATCC", "HL-60(TB)"]
FRAME = pd.DataFrame(
    {"line": ["MCF-7", "A549", "K-562"], "TP53": [1.5, np.nan, 3], "EGFR": [4.0, 5, 6]}
)
VALUES = np.array([[1.5, 4], [np.nan, 5], [3, 6]], dtype=np.float32)


def read(path: Path) -> Profile:
    return read_profile(path, "--expression", is_line=line_test(LINES, None))


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",", index=False)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_matrix_reads_alike_either_way_round(tmp_path: Path, suffix: str, turned: bool) -> None:
    frame = FRAME
    if turned:
        frame = FRAME.set_index("line").T.rename_axis("gene").reset_index()
    profile = read(write(frame, tmp_path / f"x{suffix}"))
    assert profile.layout == "matrix"
    assert profile.cell_names == ("MCF-7", "A549", "K-562")
    assert profile.feature_names == profile.genes == ("TP53", "EGFR")
    np.testing.assert_array_equal(profile.values_EF, VALUES)


def test_columns_beside_the_features_are_left_out(tmp_path: Path) -> None:
    frame = FRAME.assign(tissue=["Breast", "Lung", "Blood"], COSMIC_ID=[905946, 905949, 905942])
    for columns in (list(frame.columns), ["COSMIC_ID", "EGFR", "tissue", "TP53", "line"]):
        profile = read(write(frame[columns], tmp_path / "x.csv"))
        order = [profile.feature_names.index(name) for name in ("TP53", "EGFR")]
        np.testing.assert_array_equal(profile.values_EF[:, order], VALUES)
        assert profile.cell_names == ("MCF-7", "A549", "K-562")


def test_annotation_of_features_gives_their_genes(tmp_path: Path) -> None:
    text = "probe,Gene Symbol,start,A549,MCF7\np1,TP53,7,1,2\np2,TP53,8,3,4\n"
    (tmp_path / "x.csv").write_text(text)
    profile = read(tmp_path / "x.csv")
    assert profile.feature_names == ("p1", "p2")
    assert profile.genes == ("TP53", "TP53")
    (tmp_path / "x.csv").write_text("chromosome,gene,A549,MCF7\n7,TP53,1,2\nX,Y,3,4\nX,Z,5,6\n")
    assert read(tmp_path / "x.csv").feature_names == ("TP53", "Y", "Z")
    place = profile.cell_names.index("A549")
    assert profile.values_EF[place].tolist() == [1, 3]


def test_ccle_gct_and_r_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.gct"
    path.write_text(
        "#1.2\n2\t2\nName\tDescription\tMCF7\tA549\nENSG1\tTP53\t1\t2\nENSG2\tY\t3\t4\n"
    )
    profile = read(path)
    assert profile.genes == ("TP53", "Y")
    assert profile.values_EF.tolist() == [[1, 3], [2, 4]]
    path.write_text('"TP53" "EGFR"\n'.replace(" ", "\t") + "MCF7\t1\t2\nA549\t3\t4\n")
    profile = read(path)
    assert profile.cell_names == ("MCF7", "A549")
    assert profile.values_EF.tolist() == [[1, 2], [3, 4]]


def test_gene_numbers_name_features_and_values_never_do(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("entrez,MCF7,A549\n7157,1,2\n1956,3,4\n")
    assert read(path).feature_names == ("7157", "1956")
    path.write_text("K562,MCF7,A549\n0.5,1,2\n0.25,3,4\n")
    with pytest.raises(InputError, match="column 'K562' must name the features, and it holds"):
        read(path)
    path.write_text("MCF7,A549\n1,2\n3,4\n")
    with pytest.raises(InputError, match="no column of names beside them"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("line,TP53\nMCF7,1\nMCF7,2\n", r"line 3: the line 'MCF7' stood in line 2 already"),
        ("line,TP53\nMCF7,1\n,2\n", r"line 3 has nothing in column 'line', which names the lines"),
        ("line,tissue\nMCF7,Breast\n", "has no column of numbers"),
        ("line,TP53\nMCF7,1\nA549,two\n", r"line 3, column 'TP53' holds 'two'"),
        ('line,TP53\nMCF7,"1,234.5"\nA549,"2,000"\n', r"line 2, column 'TP53' holds '1,234.5'"),
        ("line;TP53\nMCF7;1,5\nA549;2,5\n", r"line 2, column 'TP53' holds '1,5'"),
        ("line,TP53\n", "has a header but no rows"),
        # A decimal comma without quotes, which looks like row names without a header.
        ("line,TP53\nMCF7,1,5\nA549,2,5\n", "a row of 3 fields, the header has 2"),
        ("gene,cell,x\nTP53,MCF7,1\nTP53,A549,2\n", r"line \('cell'\) and gene \('gene'\)"),
        ("", "is empty"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "x.csv")

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.entities import Entities
from combo_lightning.data.sources.table_entities import read_cells_table
from combo_lightning.errors import InputError


def read(
    tmp_path: Path,
    text: str,
    wanted: list[str],
) -> Entities:
    path = tmp_path / "table.csv"
    path.write_text(text)
    entities, report = read_cells_table(path, wanted)
    assert report is not None
    return entities


UPRIGHT = "line,Tissue,TP53,MYC\nBR:MCF7,Breast,1,2\nother,Lung,9,9\nLE:HL-60(TB),Leukemia,NA,4\n"


def test_number_columns_are_features_of_the_lines_in_the_responses_order(tmp_path: Path) -> None:
    cells = read(tmp_path, UPRIGHT, ["HL-60(TB)", "MCF7"])
    assert cells.ids == ("HL-60(TB)", "MCF7")
    assert cells.annotation("tissue") == ["Leukemia", "Breast"]
    assert cells.annotation("name") == ["LE:HL-60(TB)", "BR:MCF7"]
    block = cells.blocks["features"]
    assert block.feature_names == ("TP53", "MYC")
    np.testing.assert_array_equal(block.values_EF, [[np.nan, 4], [1, 2]])


def test_the_other_orientation_gives_the_same_features(tmp_path: Path) -> None:
    turned = "gene,BR:MCF7,other,LE:HL-60(TB)\nTP53,1,9,\nMYC,2,9,4\n"
    upright = read(tmp_path, UPRIGHT, ["HL-60(TB)", "MCF7"]).blocks["features"]
    block = read(tmp_path, turned, ["HL-60(TB)", "MCF7"]).blocks["features"]
    assert block.feature_names == upright.feature_names
    np.testing.assert_array_equal(block.values_EF, upright.values_EF)


def test_parquet_with_a_named_index_reads_as_csv_does(tmp_path: Path) -> None:
    frame = pd.DataFrame({"TP53": [1.0, np.nan], "MYC": [2, 4]}, index=["MCF7", "HL60"])
    frame.to_parquet(tmp_path / "t.parquet")
    cells, _ = read_cells_table(tmp_path / "t.parquet", ["HL-60(TB)", "MCF7"])
    block = cells.blocks["features"]
    assert block.feature_names == ("TP53", "MYC")
    np.testing.assert_array_equal(block.values_EF, [[np.nan, 4], [1, 2]])


def test_a_line_that_the_table_lacks_has_no_features_and_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("cell,x\nMCF7,1\nSF-268,2\n")
    cells, report = read_cells_table(path, ["MCF7", "SF-269"])
    assert report is not None
    assert report.unmatched == {"SF-269": "SF-268"}
    np.testing.assert_array_equal(cells.blocks["features"].values_EF, [[1], [np.nan]])


def test_without_a_table_entities_have_names_only() -> None:
    cells, report = read_cells_table(None, ["a", "b"])
    assert report is None
    assert cells.ids == ("a", "b")
    assert cells.blocks == {}


def test_columns_that_are_no_features_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        read(tmp_path, "cell,cosmic_id,note,nothing,x\nMCF7,905,a,,1\nHL60,906,b,,2\n", ["MCF7"])
    said = "\n".join(caplog.messages)
    assert "left out as text (1): note" in said
    assert "left out as identifiers (1): cosmic_id" in said
    assert "left out as empty (1): nothing" in said
    assert "features (1): x" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "cell,x\nMCF7,1\nHL60,2\nMCF7,3\n",
            r"line 4: 'MCF7' stood in .* line 2 already, and they disagree in column 'x' \('1'",
        ),
        ("cell,x\nA549,1\nSF268,2\n", "none of the 1 cells .* has A549, SF268.* MCF7"),
        ("cell,x\nMCF7,1\nHL60,2\nSR,abc\n", "line 4, column 'x' holds 'abc'; it must"),
        ("cell,x\nMCF7,1\nHL60,inf\n", "line 3, column 'x' holds 'inf'"),
        ("cell,x\nMCF7,1e300\nHL60,1\n", "feature 'x' is infinite"),
        ("cell,x\nMCF-7,1\nMCF_7,2\n", "'MCF7' could be 'MCF-7' or 'MCF_7'"),
        (
            "gene,MCF7,y\nTP53,1,1\nTP53,2,1\n",
            "line 3: the feature 'TP53' stands there ag",
        ),
        ("gene,MCF7,y\nTP53,1,1\n,2,1\n", "line 3: a feature has no name; column 'gene'"),
    ],
)
def test_a_table_that_does_not_fit_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, ["MCF7"])


def test_equal_rows_of_one_entity_count_once(tmp_path: Path) -> None:
    cells = read(tmp_path, "cell,x\nMCF7,1\nHL60,2\nMCF7, 1\n", ["MCF7"])
    assert cells.blocks["features"].values_EF.tolist() == [[1]]


def test_a_wide_table_keeps_every_gene_in_its_place(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    lines = [f"CELL{i}" for i in range(60)]
    frame = pd.DataFrame(draw.normal(size=(60, 3_000)).round(3))
    frame.insert(0, "cell", lines)
    frame.to_csv(tmp_path / "t.csv", index=False)
    cells, _ = read_cells_table(tmp_path / "t.csv", lines)
    np.testing.assert_allclose(
        cells.blocks["features"].values_EF, frame.drop(columns="cell").to_numpy(), rtol=1e-6
    )

from pathlib import Path

import pytest

from combo_lightning.data.dataset import read_dataset
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.sources.almanac_combo_score import prepare_combo_scores, read_scores
from combo_lightning.data.sources.screen_entities import EntityFiles
from combo_lightning.errors import InputError
from tests.data.sources.fixtures import (
    SMILES,
    write_cellminer,
    write_cells,
    write_drugs,
    write_scores,
)


@pytest.fixture
def files(tmp_path: Path) -> EntityFiles:
    return EntityFiles(
        drugs=[write_drugs(tmp_path / "drugs.csv")],
        cells=write_cells(tmp_path / "cells.csv"),
        profiles={"protein": write_cellminer(tmp_path / "protein.txt")},
        genes=None,
        chemistry=("maccs",),
    )


def test_the_table_becomes_a_data_set_that_keeps_the_recorded_order(
    tmp_path: Path, files: EntityFiles
) -> None:
    scores = write_scores(tmp_path / "scores.csv")
    made_by = {"command": ["x"]}
    out = prepare_combo_scores(scores, files, Target(tmp_path / "d", made_by))
    dataset = read_dataset(out)
    rows = [
        (dataset.cells.ids[c], *(dataset.drugs.ids[d] for d in pair), float(y))
        for c, pair, y in zip(
            dataset.responses.cell_N,
            dataset.responses.drug_NK,
            dataset.responses.response_N,
            strict=True,
        )
    ]
    assert rows == [
        ("MCF7", "740", "752", 10.0),
        ("A549/ATCC", "740", "752", -20.0),
        ("MCF7", "752", "740", 12.0),
        ("A549/ATCC", "752", "740", -18.0),
        ("HL-60(TB)", "752", "740", 5.0),
        ("A549/ATCC", "3053", "740", 7.0),
        ("HL-60(TB)", "3053", "740", -300.0),
    ]
    # MDA-N has no score and stays an entity.
    assert dataset.cells.ids == ("MCF7", "A549/ATCC", "HL-60(TB)", "MDA-N")
    assert dataset.cells.annotation("tissue")[1] == "Non-Small Cell Lung"
    assert "LC:A549/ATCC" in dataset.cells.synonyms()[1]
    assert dataset.drugs.ids == ("740", "752", "3053")
    assert dataset.drugs.annotation("smiles") == list(SMILES.values())
    assert dataset.drugs.annotation("name")[0] == "drug, 740"
    assert dataset.manifest["made_by"]["dropped"] == {"missing score": 5}
    assert dataset.manifest["made_by"]["command"] == ["x"]
    names = {Path(source["path"]).name for source in dataset.manifest["sources"]}
    assert names == {"scores.csv", "drugs.csv", "cells.csv", "protein.txt"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("NSC2", "NSC_2", "no column 'NSC2'; did you mean 'NSC_2'"),
        ("-300", "lots", "line 4, column 'HL-60.TB.' holds 'lots'"),
        ("-300", "inf", "holds 'inf'; a ComboScore is a finite number"),
        ("12,-18", "12", "line 3 has 5 fields, the header 6"),
        ("MDA-N", "MCF-7", "two columns of one cell line: 'MCF7', 'MCF-7'"),
        (",", ";", "it looks separated by semicolons"),
    ],
)
def test_a_bad_table_is_refused_by_line_and_column(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write_scores(tmp_path / "scores.csv")
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    with pytest.raises(InputError, match=message):
        read_scores(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("CC(=O)Oc1ccccc1C(=O)O", "C1CC", "drug 'NSC 3053': RDKit cannot read"),
        ("SMILES", "STRUCTURE", "no column 'SMILES'"),
        ("752,", "740,", "NSC 740 stands twice and the rows disagree"),
    ],
)
def test_a_bad_drug_table_is_refused_and_nothing_is_left(
    tmp_path: Path, files: EntityFiles, old: str, new: str, message: str
) -> None:
    (drugs,) = files.drugs
    drugs.write_text(drugs.read_text().replace(old, new))
    scores = write_scores(tmp_path / "scores.csv")
    with pytest.raises(InputError, match=message):
        prepare_combo_scores(scores, files, Target(tmp_path / "d"))
    assert not list(tmp_path.glob("*d"))
    assert not list(tmp_path.glob(".*partial*"))


def test_a_join_that_leaves_nothing_is_refused(tmp_path: Path, files: EntityFiles) -> None:
    (drugs,) = files.drugs
    text = drugs.read_text()
    for nsc in SMILES:
        text = text.replace(f"{nsc},", f"9{nsc},")
    drugs.write_text(text)
    scores = write_scores(tmp_path / "scores.csv")
    with pytest.raises(InputError, match="none of the 3 drugs"):
        prepare_combo_scores(scores, files, Target(tmp_path / "d"))


@pytest.mark.real_data
def test_the_real_table_is_read_whole(shared_data: Path) -> None:
    path = shared_data / "almanac" / "DTP_NCI60_ALMANAC_COMBO_SCORE.csv.gz"
    frame, lines, dropped = read_scores(path)
    assert len(frame) == 275_761
    assert len(lines) == 60
    assert len(frame) + dropped["missing score"] == 5355 * 60
    drugs = set(frame["drug_1"].cat.categories) | set(frame["drug_2"].cat.categories)
    assert len(drugs) == 105
    # shared/data/README.md: mean -22, standard deviation 66.
    assert abs(frame["response"].mean() + 22) < 1
    assert abs(frame["response"].std() - 66) < 1

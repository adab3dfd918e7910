from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.chemistry import inchikey
from combo_lightning.data.sources.drug_tables import read_drug_tables
from combo_lightning.errors import InputError
from tests.data.sources.drug_fixtures import (
    ASPIRIN,
    DRUGS,
    IMATINIB,
    MELPHALAN,
    chembl_csv,
    pubchem_csv,
    write_nci_sdf,
    write_pubchem_sdf,
)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_structures_give_blocks_and_keys_and_may_be_missing(tmp_path: Path) -> None:
    text = "NSC,drug name,CID,Smiles,logp\n1,ethanol,702,CCO,-0.3\n2,unknown,,,1\n"
    path = write(tmp_path / "t.csv", text)
    drugs, _ = read_drug_tables([path], ["1", "2"], ("descriptors", "maccs"))
    assert list(drugs.blocks) == ["descriptors", "maccs", "features"]
    assert drugs.annotation("name") == ["ethanol", "unknown"]
    assert drugs.annotation("smiles") == ["CCO", None]
    assert drugs.annotation("inchikey") == ["LFQSCWFLJHTTHZ-UHFFFAOYSA-N", None]
    missing = np.isnan(drugs.blocks["maccs"].values_EF).all(axis=1)
    assert missing.tolist() == [False, True]
    # A PubChem number measures nothing.
    assert drugs.blocks["features"].feature_names == ("logp",)


def test_the_column_that_matches_the_responses_names_the_drugs(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "code,NSC,CID,Name,x\nD-1,7,8,one,1\n8,9,10,two,2\n")
    drugs, report = read_drug_tables([path], ["8", "D-1", "d1"], ())
    assert drugs.annotation("name") == ["two", "one", "one"]
    assert report.matched == {"8": "two", "D-1": "one", "d1": "one"}
    assert "d1 = one" in "\n".join(report.lines())
    assert drugs.synonyms()[0] == ["NSC 9", "CID 10", "NSC9"]


def test_drugs_without_structure_that_are_spelled_alike_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "name,SMILES\n5-FU,\naspirin,CCO\nAspirin,CCO\n")
    wanted = ["5-FU", "aspirin", "5fu", "Aspirin", "(+)-JQ1", "(-)-JQ1"]
    said = "\n".join(read_drug_tables([path], wanted, ())[1].lines())
    assert "perhaps one drug, as spelled alike: 5-FU, 5fu; they stay 2 drugs" in said
    assert said.count("perhaps one drug") == 1


def test_features_of_one_file_and_structures_of_another_are_joined(tmp_path: Path) -> None:
    targets = write(tmp_path / "t.csv", "drug,x\nAspirin,1\nMelphalan,2\n")
    more = write(tmp_path / "u.csv", "drug,y\nAspirin,3\n")
    sdf = write_pubchem_sdf(tmp_path / "c.sdf")
    drugs, report = read_drug_tables([targets, sdf, more], ["Melphalan", "Aspirin"], ("maccs",))
    assert list(drugs.blocks) == ["maccs", "features", "features_2"]
    assert drugs.annotation("smiles") == [MELPHALAN.smiles, ASPIRIN.smiles]
    np.testing.assert_array_equal(drugs.blocks["features"].values_EF, [[2], [1]])
    np.testing.assert_array_equal(drugs.blocks["features_2"].values_EF, [[np.nan], [3]])
    assert "Melphalan: structure of 'melphalan', by its name but for case" in "\n".join(
        report.lines()
    )


def test_a_registrys_export_gives_structures_and_no_features(tmp_path: Path) -> None:
    for text in (pubchem_csv(), pubchem_csv(newer=False), chembl_csv()):
        path = write(tmp_path / "t.csv", text)
        drugs, _ = read_drug_tables([path], [d.name for d in DRUGS], ("maccs",))
        assert list(drugs.blocks) == ["maccs"]
        assert drugs.annotation("smiles") == [d.smiles for d in DRUGS]


def test_a_table_that_stands_the_other_way_round_is_turned(tmp_path: Path) -> None:
    turned = write(tmp_path / "t.csv", "target,Aspirin,Melphalan\nEGFR,1,2\nKIT,3,4\n")
    alone, _ = read_drug_tables([turned], ["Melphalan", "Aspirin"], ("maccs",))
    np.testing.assert_array_equal(alone.blocks["features"].values_EF, [[2, 4], [1, 3]])
    sdf = write_pubchem_sdf(tmp_path / "c.sdf")
    drugs, _ = read_drug_tables([turned, sdf], ["Melphalan", "Aspirin"], ("maccs",))
    assert list(drugs.blocks) == ["maccs", "features"]
    np.testing.assert_array_equal(drugs.blocks["features"].values_EF, [[2, 4], [1, 3]])


def test_parquet_is_a_table_too(tmp_path: Path) -> None:
    frame = pd.DataFrame({"drug": ["a", "b"], "smiles": ["CCO", None], "x": [1.0, np.nan]})
    frame.to_parquet(tmp_path / "t.parquet")
    drugs, _ = read_drug_tables([tmp_path / "t.parquet"], ["b", "a"], ("maccs",))
    np.testing.assert_array_equal(drugs.blocks["features"].values_EF, [[np.nan], [1]])
    assert drugs.annotation("smiles") == [None, "CCO"]


def test_salts_mixtures_and_one_compound_twice_are_told(tmp_path: Path) -> None:
    mixed = f"{MELPHALAN.smiles}.{ASPIRIN.smiles}"
    text = (
        f"drug,smiles\na,{IMATINIB.smiles}\nb,{IMATINIB.smiles.removesuffix('.CS(=O)(=O)O')}\n"
        f"c,{mixed}\nd,\n"
    )
    path = write(tmp_path / "t.csv", text)
    drugs, report = read_drug_tables([path], ["a", "b", "c", "d"], ())
    keys = drugs.annotation("inchikey")
    assert keys[0] == keys[1]
    assert keys[2] == inchikey(MELPHALAN.smiles, "")
    said = "\n".join(report.lines())
    assert "one compound: a, b; splits keep them together" in said
    assert "c is a mixture: taken is " in said
    assert "1 of 4 drugs have no structure: d" in said


def test_ncis_sdf_gives_structures_of_its_mol_blocks(tmp_path: Path) -> None:
    drugs, _ = read_drug_tables(
        [write_nci_sdf(tmp_path / "n.sdf")], ["NSC 8806", "50-78-2"], ("maccs",)
    )
    assert drugs.annotation("inchikey") == [
        inchikey(MELPHALAN.smiles, ""),
        inchikey(ASPIRIN.smiles, ""),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drug,x\na,1\n", "none of the 1 drugs of the responses is there; the file has a, the"),
        (
            "drug,x\nMCF7,1\nMCF7,2\n",
            r"line 3: 'MCF7' stood in .*line 2 already, and they disagree in column 'x' \('1' and",
        ),
        ("drug,x\nMCF7,1\nb,inf\nc,1\n", "line 3, column 'x' holds 'inf'"),
        ("nsc,smiles\nx,CCO\nMCF7,C1CC\n", "line 3: drug 'MCF7': RDKit cannot read the SMILES"),
    ],
)
def test_a_table_that_does_not_fit_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(InputError, match=message):
        read_drug_tables([path], ["MCF7"], ())

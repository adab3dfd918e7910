from pathlib import Path

import pandas as pd
import pytest

from combo_lightning.data.sources.drug_delimited import read_delimited, table_format
from combo_lightning.errors import InputError
from tests.data.sources.drug_fixtures import DRUGS, chembl_csv, nci_csv, pubchem_csv


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("newer", [True, False])
def test_pubchems_property_table_gives_the_structure_with_stereo(
    tmp_path: Path, newer: bool
) -> None:
    path = write(tmp_path / "p.csv", pubchem_csv(newer=newer))
    table = read_delimited(path, "--drugs", ",")
    rows = table.rows.to_pylist()
    assert table.files[0].format == "PubChem table"
    for row, drug in zip(rows, DRUGS, strict=True):
        assert row["cid"] == drug.cid
        assert row["smiles"] == drug.smiles
        assert row["inchikey"] == drug.inchikey
        assert row["name"] == drug.name
        assert f"systematic {drug.name.lower()}" in row["synonyms"]


def test_chembls_export_is_read_with_its_synonyms(tmp_path: Path) -> None:
    table = read_delimited(write(tmp_path / "c.csv", chembl_csv()), "--drugs", ";")
    assert table.files[0].format == "ChEMBL table"
    for row, drug in zip(table.rows.to_pylist(), DRUGS, strict=True):
        assert row["chembl"] == drug.chembl
        assert row["name"] == drug.name.upper()
        assert [s for s in row["synonyms"] if s] == list(drug.synonyms)
        assert row["smiles"] == drug.smiles


def test_ncis_table_and_its_parquet_twin_read_alike(tmp_path: Path) -> None:
    path = write(tmp_path / "n.csv", nci_csv())
    rows = read_delimited(path, "--drugs", ",").rows
    pd.read_csv(path).to_parquet(tmp_path / "n.parquet")
    assert read_delimited(tmp_path / "n.parquet", "--drugs", None).rows.equals(rows)
    assert rows.column("mechanism").to_pylist() == [f"Df|{d.nsc}" for d in DRUGS]


def test_identifiers_are_written_in_one_way(tmp_path: Path) -> None:
    text = 'NSC,CID,InChIKey,x\nNSC-0740,2244.0,inchikey=AAA-B-C,1\n"761,431",CID 12,,2\nS7,,,3\n'
    rows = read_delimited(write(tmp_path / "t.csv", text), "--drugs", ",").rows.to_pylist()
    assert [r["nsc"] for r in rows] == ["740", "761431", "S7"]
    assert [r["cid"] for r in rows] == ["2244", "12", None]
    assert rows[0]["inchikey"] == "AAA-B-C"


def test_numbers_that_a_spreadsheet_shortened_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "NSC,NAME\n740,a\n7.61431E+05,b\n")
    with pytest.raises(InputError, match=r"line 3, column 'NSC' holds '7.61431E\+05'"):
        read_delimited(path, "--drugs", ",")


def test_a_table_that_names_no_drugs_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "weight,logp\n1,2\n")
    with pytest.raises(InputError, match=r"no column that names drugs .NSC, CID.* has weight"):
        read_delimited(path, "--drugs", ",")


def test_formats_are_told_by_their_columns() -> None:
    assert table_format(["NSC", "NAME", "CID", "SMILES"]) == "table"
    assert table_format(["CID", "Title", "ConnectivitySMILES"]) == "PubChem table"
    assert table_format(["name", "cid", "smiles"]) == "table"
    assert table_format(["Smiles", "ChEMBL ID"]) == "ChEMBL table"

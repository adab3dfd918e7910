import gzip
from pathlib import Path

import pytest

from combo_lightning.data.chemistry import inchikey
from combo_lightning.data.sources.drug_sdf import read_sdf, read_sdf_table
from combo_lightning.errors import InputError
from tests.data.sources.drug_fixtures import (
    ASPIRIN,
    DRUGS,
    MELPHALAN,
    mol_block,
    pubchem_record,
    write_nci_sdf,
    write_pubchem_sdf,
)


@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize("name", ["c.sdf", "c.sdf.gz"])
def test_both_generations_of_pubchems_tags_give_the_structure_with_stereo(
    tmp_path: Path, name: str, newer: bool
) -> None:
    table = read_sdf_table(write_pubchem_sdf(tmp_path / name, newer=newer), "--drugs")
    rows = table.rows.to_pylist()
    assert [r["cid"] for r in rows] == [d.cid for d in DRUGS]
    assert [r["smiles"] for r in rows] == [d.smiles for d in DRUGS]
    assert [r["inchikey"] for r in rows] == [d.inchikey for d in DRUGS]
    assert [r["name"] for r in rows] == [d.name.lower() for d in DRUGS]
    assert "systematic aspirin" in rows[0]["synonyms"]
    assert table.place(1).endswith(f"{name}, record 2")


def test_without_a_smiles_field_the_mol_block_is_the_structure(tmp_path: Path) -> None:
    table = read_sdf_table(write_nci_sdf(tmp_path / "nci.sdf"), "--drugs")
    rows = table.rows.to_pylist()
    assert [(r["nsc"], r["cas"]) for r in rows] == [(d.nsc, d.cas) for d in DRUGS]
    assert [inchikey(r["smiles"], "") for r in rows] == [inchikey(d.smiles, "") for d in DRUGS]


def test_a_mol_block_that_rdkit_cannot_read_leaves_a_record_without_structure(
    tmp_path: Path,
) -> None:
    broken = mol_block("CO", "").replace(" O  ", " Xx ", 1)
    path = tmp_path / "a.sdf"
    path.write_text(f"{broken}> <NSC>\n7\n\n$$$$\n{mol_block('CO', 'methanol')}$$$$\n")
    table = read_sdf_table(path, "--drugs")
    assert list(table.files[0].unread) == ["7"]
    assert table.rows.column("smiles").to_pylist() == [None, "CO"]
    assert table.rows.column("name").to_pylist() == [None, "methanol"]


def test_values_of_several_lines_and_signs_within_values_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    path.write_text(
        "\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n"
        "> <COMMENT>\n> 98 % pure <dry>\n$$ not the end\n\n"
        "> <PUBCHEM_SUBSTANCE_SYNONYM>\n64-19-7\nAcetic acid\n\n"
        ">  25  <SMILES>  (4)\nCC(=O)\nO\n\n> <NAME>\n\n> <CID>\n176\n\n$$$$\n"
    )
    (drug,) = read_sdf(path, "--drugs")
    assert drug.smiles == "CC(=O)O"
    assert drug.fields["synonyms"] == ["64-19-7", "Acetic acid"]
    assert drug.fields["cid"] == ["176"]
    assert "name" not in drug.fields
    assert (drug.identifier, drug.problem) == ("CID 176", "")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_line_end_and_encoding_reads_alike(tmp_path: Path, end: str, encoding: str) -> None:
    record = pubchem_record(MELPHALAN).replace("systematic", "systématic")
    path = tmp_path / "a.sdf"
    path.write_bytes((record * 3).replace("\n", end).encode(encoding))
    rows = read_sdf_table(path, "--drugs").rows.to_pylist()
    assert [r["smiles"] for r in rows] == [MELPHALAN.smiles] * 3
    assert rows[2]["synonyms"][0] == "systématic melphalan"


def test_records_are_whole_wherever_the_chunks_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pubchem_sdf(tmp_path / "a.sdf", DRUGS * 2)
    whole = list(read_sdf(path, "--drugs"))
    for size in (1, 7, 1000, 4001):
        monkeypatch.setattr("combo_lightning.data.sources.drug_sdf._CHUNK", size)
        assert list(read_sdf(path, "--drugs")) == whole


@pytest.mark.parametrize("tail", ["", "\n", "\n\n", "\x1a"])
def test_what_follows_the_last_end_is_no_record(tmp_path: Path, tail: str) -> None:
    path = tmp_path / "a.sdf"
    path.write_text(pubchem_record(ASPIRIN).rstrip("\n") + tail)
    assert len(read_sdf_table(path, "--drugs")) == 1


def test_a_single_mol_file_is_a_record(tmp_path: Path) -> None:
    path = tmp_path / "a.mol"
    path.write_text(mol_block("CCO", "ethanol"))
    (drug,) = read_sdf(path, "--drugs")
    assert drug.label == "ethanol"


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_pubchem_sdf(tmp_path / "a.sdf")
    data = path.read_bytes()
    path.write_bytes(data[:-200])
    with pytest.raises(InputError, match=r"a.sdf ends within record 3: it is truncated"):
        read_sdf_table(path, "--drugs")
    path.write_bytes(gzip.compress(data)[:-40])
    with pytest.raises(InputError, match=r"a.sdf is damaged or truncated .*download it again"):
        read_sdf_table(path, "--drugs")


def test_a_file_whose_encoding_changes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    record = pubchem_record(ASPIRIN)
    many = record * ((1 << 20) // len(record) + 2)
    path.write_bytes(many.encode() + record.replace("systematic", "systématic").encode("cp1252"))
    with pytest.raises(InputError, match="begins as UTF-8 and goes on as something else"):
        read_sdf_table(path, "--drugs")

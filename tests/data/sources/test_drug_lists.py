from pathlib import Path

import pytest

from combo_lightning.data.sources.drug_lists import (
    is_nsc_list,
    is_smiles_list,
    read_nsc_list,
    read_smiles_lines,
    read_smiles_list,
)
from combo_lightning.errors import InputError
from tests.data.sources.drug_fixtures import DRUGS, nsc_list, smiles_list


def test_a_smiles_list_gives_structures_names_and_identifiers_among_the_names(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.smi"
    path.write_text("SMILES name\nCCO\tethyl alcohol\n\nCO CHEMBL14688\nC\nCN |r| NSC 7\nCC 12\n")
    rows = read_smiles_list(path, "--drugs").rows.to_pylist()
    assert [(r["smiles"], r["name"]) for r in rows] == [
        ("CCO", "ethyl alcohol"),
        ("CO", "CHEMBL14688"),
        ("C", None),
        ("CN", "NSC 7"),
        ("CC", "12"),
    ]
    assert [r["chembl"] for r in rows] == [None, "CHEMBL14688", None, None, None]
    # Bare digits may be of any registry.
    assert [(r["nsc"], r["cid"]) for r in rows[3:]] == [("7", None), (None, None)]
    assert [line.line for line in read_smiles_lines(path, "--drugs")] == [1, 3, 4, 5, 6]


@pytest.mark.parametrize("header", ["", "IX\tDrug\n", "NSC\tNAME\n"])
def test_ncis_list_is_read_with_and_without_a_header(tmp_path: Path, header: str) -> None:
    path = tmp_path / "names.txt"
    path.write_text(nsc_list(header=header))
    table = read_nsc_list(path, "--drugs")
    rows = table.rows.to_pylist()
    assert [(r["nsc"], r["name"]) for r in rows] == [
        (d.nsc, name) for d in DRUGS for name in (d.name, *d.synonyms)
    ]
    assert not table.files[0].has_smiles
    assert table.place(0).endswith(f"line {2 if header else 1}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Taxol\t125973", "line 10 holds 'Taxol.125973'; an NSC number, a tab and a name"),
        ("740", "line 10 holds '740'"),
        ("740\t ", "line 10 holds '740"),
    ],
)
def test_a_line_of_another_form_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "names.txt"
    path.write_text(nsc_list() + line + "\n")
    with pytest.raises(InputError, match=message):
        read_nsc_list(path, "--drugs")


def test_structures_beside_numbers_are_not_taken_for_names(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("740\tCCO\n741\tc1ccccc1\n")
    with pytest.raises(InputError, match="structures beside the NSC numbers, not names"):
        read_nsc_list(path, "--drugs")


def test_lists_are_told_from_tables() -> None:
    assert is_smiles_list(smiles_list().splitlines())
    assert is_smiles_list(["smiles id", "CCO 1"])
    assert not is_smiles_list(["name,smiles", "ethanol,CCO"])
    assert not is_smiles_list(["740\tMethotrexate"])
    assert is_nsc_list(["IX\tDrug", "740\tMethotrexate"])
    assert not is_nsc_list(["IX\tDrug"])
    assert not is_nsc_list(["NSC\tNAME\tSMILES", "740\ta\tC"])

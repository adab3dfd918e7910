from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from combo_lightning.data.chemistry import inchikey
from combo_lightning.data.sources.drug_names import DrugReport, find_drugs
from combo_lightning.data.sources.drug_record import Drug
from combo_lightning.data.sources.drug_schema import DrugTable, spelled_identifiers
from combo_lightning.data.sources.drugs import read_drug_files
from combo_lightning.errors import InputError
from tests.data.sources.drug_fixtures import (
    ASPIRIN,
    DRUGS,
    IMATINIB,
    MELPHALAN,
    chembl_csv,
    nci_csv,
    nsc_list,
    pubchem_csv,
    smiles_list,
    write_nci_sdf,
    write_pubchem_sdf,
)

Find = Callable[..., tuple[list[Drug | None], DrugReport]]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    def find_in(
        wanted: Sequence[str], *texts: str | Path, nsc_only: bool = False
    ) -> tuple[list[Drug | None], DrugReport]:
        paths = []
        for i, text in enumerate(texts):
            path = text if isinstance(text, Path) else tmp_path / f"file{i}.csv"
            if isinstance(text, str):
                path.write_text(text)
            paths.append(path)
        table = read_drug_files(paths, "--drugs")
        return find_drugs(wanted, table, "drugs", nsc_only=nsc_only)

    return find_in


def nth(found: tuple[list[Drug | None], DrugReport], i: int = 0) -> Drug:
    drug = found[0][i]
    assert drug is not None
    return drug


@pytest.mark.parametrize(
    ("wanted", "way"),
    [
        ("8806", "nsc"),
        ("NSC 8806", "nsc"),
        ("NSC-8806", "nsc"),
        ("nsc8806", "nsc"),
        ("NSC 0008806", "nsc"),
        ("CID 460612", "cid"),
        ("CID:460612", "cid"),
        ("460612", "cid"),
        ("CHEMBL852", "chembl"),
        ("chembl852", "chembl"),
        ("148-82-3", "cas"),
        ("Melphalan", "name"),
        ("MELPHALAN", "name_key"),
        ("Alkeran", "synonym"),
        ("L-PAM", "synonym"),
        ("l_pam", "synonym_key"),
        ("Melphalan hydrochloride", "salt_key"),
        ("SGDBTWWWUNNDEQ-LBPRGKRZSA-N", "inchikey"),
        ("InChIKey=SGDBTWWWUNNDEQ-LBPRGKRZSA-N", "inchikey"),
        ("SGDBTWWWUNNDEQ-UHFFFAOYSA-N", "block"),
    ],
)
def test_a_drug_is_found_by_whatever_it_is_called(find: Find, wanted: str, way: str) -> None:
    rows = [
        ",".join(
            [d.nsc, d.cid, d.cas, d.chembl, d.name, "|".join(d.synonyms), d.smiles, d.inchikey]
        )
        for d in DRUGS
    ]
    text = "\n".join(["NSC,CID,CAS,ChEMBL_ID,Name,Synonyms,SMILES,InChIKey", *rows]) + "\n"
    drugs, report = find([wanted], text)
    assert report.ways == {wanted: way}
    assert report.matched == {wanted: "Melphalan"}
    assert nth((drugs, report)).smiles == MELPHALAN.smiles


def test_an_inchikey_is_found_by_the_structure_where_the_file_states_none(find: Find) -> None:
    own = inchikey(IMATINIB.smiles, "")
    drugs, report = find([own, "SGDBTWWWUNNDEQ-UHFFFAOYSA-N"], smiles_list())
    assert report.ways == {own: "structure", "SGDBTWWWUNNDEQ-UHFFFAOYSA-N": "structure_block"}
    assert nth((drugs, report)).name == "Imatinib mesylate"
    assert "stereochemistry or charge may differ" in "\n".join(report.lines())


def test_every_guess_is_shown_and_kept(find: Find) -> None:
    wanted = ["Aspirin", "imatinib", "MELPHALAN", "melfalan"]
    _, report = find(wanted, nci_csv())
    said = "\n".join(report.lines())
    assert "drugs: 3 of 4 matched" in said
    assert "1 by its name without that of a salt: imatinib = Imatinib mesylate" in said
    assert "1 by its name but for case and punctuation: MELPHALAN = Melphalan" in said
    assert "no match for 'melfalan'; nearest is 'Melphalan'" in said
    plain = report.to_plain()
    assert plain["matched"] == 3
    assert plain["guessed"]["imatinib"] == [
        "Imatinib mesylate",
        "by its name without that of a salt",
    ]


def test_thousands_of_guesses_do_not_fill_the_log(find: Find) -> None:
    names = [f"Drug-{i}" for i in range(200)]
    _, report = find(names, "name,MOA\n" + "".join(f"drug {i},x\n" for i in range(200)))
    said = "\n".join(report.lines())
    assert "Drug-29 = drug 29 ..." in said
    assert "Drug-30 " not in said
    assert len(report.to_plain()["guessed"]) == 200


def test_mirror_images_and_esters_are_not_guessed(find: Find) -> None:
    text = "NAME,SMILES\n(+)-JQ1,CC\nβ-Lapachone,CCC\nMegestrol acetate,CCCC\n"
    _, report = find(["JQ1", "(-)-JQ1", "Lapachone", "Megestrol", "(+)JQ1"], text)
    assert report.matched == {"(+)JQ1": "(+)-JQ1"}


def test_nsc_numbers_are_not_taken_for_cids(find: Find) -> None:
    text = "NSC,CID,NAME,SMILES\n1,2,a,CCO\n2,3,b,CCN\n"
    drugs, report = find(["2", "3"], text, nsc_only=True)
    assert nth((drugs, report)).name == "b"
    assert list(report.unmatched) == ["3"]
    with pytest.raises(InputError, match=r"2 .*could be 'b' \(NSC 2, CID 3\) in .*line 3, or 'a'"):
        find(["2"], text)


def test_nsc_numbers_are_found_among_synonyms_and_in_smiles_lists(find: Find) -> None:
    chembl = chembl_csv().replace("Alkeran", "NSC-8806")
    assert nth(find(["8806"], chembl, nsc_only=True)).name == "MELPHALAN"
    assert nth(find(["8806", "7"], "CCO 8806\nCCN NSC7\n", nsc_only=True), 1).smiles == "CCN"


def test_identifiers_come_from_one_file_and_structures_from_another(
    find: Find, tmp_path: Path
) -> None:
    ids = "NSC,CID\n" + "".join(f"{d.nsc},{d.cid}\n" for d in DRUGS)
    sdf = write_pubchem_sdf(tmp_path / "c.sdf.gz")
    for files in ([nsc_list(), ids, sdf], [sdf, ids, nsc_list()]):
        found = find(["8806", "743414"], *files, nsc_only=True)
        drug = nth(found)
        assert drug.identifiers["cid"] == MELPHALAN.cid
        assert {drug.name, *drug.synonyms} >= {"Melphalan", "Alkeran", "L-PAM", "melphalan"}
        assert drug.smiles == MELPHALAN.smiles
        assert nth(found, 1).key == inchikey(IMATINIB.smiles, "")


def test_a_structure_is_found_by_the_drugs_name_and_that_is_said(find: Find) -> None:
    found = find(["27223"], nsc_list(), smiles_list(), nsc_only=True)
    assert nth(found).smiles == ASPIRIN.smiles
    assert "NSC 27223: structure of 'Aspirin', by its name" in "\n".join(found[1].lines())


def test_a_name_of_two_compounds_is_refused_with_both(find: Find) -> None:
    text = "NSC,NAME,SMILES\n1,twin,CCO\n2,Twin,CCN\n"
    with pytest.raises(
        InputError,
        match=r"TWIN could be 'twin' \(NSC 1\) in .*line 2, or 'Twin' \(NSC 2\) in .*line 3; name",
    ):
        find(["TWIN"], text)
    # An exact name is no guess.
    assert nth(find(["Twin"], text)).smiles == "CCN"
    # Without structures, two numbers are two drugs.
    with pytest.raises(InputError, match="twin could be"):
        find(["twin"], "1\ttwin\n2\ttwin\n")


def test_all_names_of_two_compounds_are_counted(find: Find) -> None:
    text = "name,SMILES\n" + "".join(f"{n},{s}\n" for n in "abc" for s in ("CCO", "CCN"))
    with pytest.raises(InputError, match=r"^a could be .*or take the other out \(so could 2 more"):
        find(["a", "b", "c"], text)


def test_one_number_of_two_compounds_is_refused(find: Find) -> None:
    with pytest.raises(InputError, match="NSC 1 stands twice and the rows disagree"):
        find(["1"], "NSC,NAME,SMILES\n1,a,CCO\n1,b,CCN\n", nsc_only=True)


def test_salt_and_base_or_a_structure_without_stereo_are_one_compound(find: Find) -> None:
    text = (
        f"NSC,NAME,SMILES\n1,x,{MELPHALAN.flat_smiles}\n2,x,{MELPHALAN.smiles}\n"
        f"3,x,{MELPHALAN.smiles}.Cl\n"
    )
    found = find(["x"], text)
    assert nth(found).smiles == MELPHALAN.smiles
    assert "x: taken for one compound: 'x' (NSC 1), 'x' (NSC 2), 'x' (NSC 3)" in found[1].notes
    mirror = MELPHALAN.smiles.replace("@@", "@")
    with pytest.raises(InputError, match="x could be"):
        find(["x"], f"NSC,NAME,SMILES\n1,x,{mirror}\n2,x,{MELPHALAN.smiles}\n")


def test_files_that_disagree_on_a_structure_are_told_and_the_first_counts(
    find: Find, tmp_path: Path
) -> None:
    other = write_nci_sdf(tmp_path / "nci.sdf")
    text = f"NSC,NAME,SMILES\n{ASPIRIN.nsc},Aspirin,CCO\n"
    found = find(["27223"], text, other, nsc_only=True)
    assert nth(found).smiles == "CCO"
    (note,) = found[1].notes
    assert "structures disagree; taken is that of" in note
    assert "file0.csv, line 2, not of" in note


def test_an_unreadable_structure_is_named_with_its_place(find: Find) -> None:
    with pytest.raises(InputError, match="line 2: drug 'a': RDKit cannot read the SMILES 'C1CC'"):
        find(["a"], "NAME,SMILES\na,C1CC\n")
    assert nth(find(["b"], "NAME,SMILES\na,C1CC\nb,CCO\n")).smiles == "CCO"


def test_pubchems_export_is_found_by_its_names(find: Find) -> None:
    _, report = find(["aspirin", "systematic melphalan"], pubchem_csv())
    assert report.ways == {"aspirin": "name_key", "systematic melphalan": "synonym"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("740", [("nsc", "740"), ("cid", "740")]),
        ("NSC740", [("nsc", "740")]),
        ("cid_2244", [("cid", "2244")]),
        ("50-78-2", [("cas", "50-78-2")]),
        ("50-78-3", []),  # the check digit is wrong
        ("2001-03-01", []),
        ("chembl25", [("chembl", "CHEMBL25")]),
        ("bsynrymutxbxsq-uhfffaoysa-n", [("inchikey", "BSYNRYMUTXBXSQ-UHFFFAOYSA-N")]),
        ("5-FU", []),
        ("NSC", []),
    ],
)
def test_identifiers_are_told_by_their_form(text: str, found: list[tuple[str, str]]) -> None:
    assert list(spelled_identifiers(text)) == found


@pytest.mark.real_data
def test_all_drugs_of_almanac_are_found_by_number_and_by_name(shared_data: Path) -> None:
    files = [shared_data / "almanac" / n for n in ("ComboCompoundNames_small.txt", "drugs.csv")]
    table = read_drug_files(files, "--drugs")
    numbers = table.rows.column("nsc").slice(0, 105).to_pylist()
    drugs, report = find_drugs(numbers, table, "drugs", nsc_only=True)
    assert not report.unmatched
    assert all(drug is not None and drug.smiles for drug in drugs)
    names = table.rows.column("name").slice(0, 105).to_pylist()
    drugs, report = find_drugs(names, table, "drugs")
    assert not report.unmatched
    assert any("vemurafenib: taken for one compound" in note for note in report.notes)
    _, report = find_drugs(["imatinib", "CID 2244", "doxorubicin"], table, "drugs")
    assert report.ways == {"imatinib": "salt_key", "doxorubicin": "salt_key"}


@pytest.fixture
def find_told(tmp_path: Path) -> Find:
    """Find drugs of which the screen itself tells."""

    def find_in(told: str, drugs: str) -> tuple[list[Drug | None], DrugReport]:
        (tmp_path / "screen.csv").write_text(told)
        (tmp_path / "drugs.csv").write_text(drugs)
        given = read_drug_files([tmp_path / "drugs.csv"], "--drugs")
        own = read_drug_files([tmp_path / "screen.csv"], "--responses")
        names = own.rows.column("name").to_pylist()
        rows = {name: len(given) + i for i, name in enumerate(names)}
        return find_drugs(names, DrugTable.join([given, own]), "drugs", told=rows)

    return find_in


def test_what_the_screen_tells_is_no_match(find_told: Find) -> None:
    # A compound that the screen calls by digits is no NSC number.
    told = f"name,MOA\nAspirin,\nimatinib,ABL\nNSC 8806,DNA\n{ASPIRIN.nsc},x\nthalidomide,CRBN\n"
    drugs, report = find_told(told, nci_csv())
    mechanisms = [drug and drug.mechanism for drug in drugs]
    assert mechanisms == ["Df|27223", "Df|743414", "Df|8806", "x", "CRBN"]
    assert nth((drugs, report), 1).smiles == IMATINIB.smiles
    assert report.lines() == [
        "drugs: 3 of 5 matched",
        "  1 by its name",
        "  1 by its NSC number: NSC 8806 = Melphalan",
        "  1 by its name without that of a salt: imatinib = Imatinib mesylate",
        f"  no match for '{ASPIRIN.nsc}'",
        "  no match for 'thalidomide'",
    ]


def test_a_users_structure_counts_more_than_the_screens_and_a_guess_at_another_less(
    find_told: Find,
) -> None:
    told = "name,SMILES\nAspirin,CCO\nimatinib,CCN\nMELPHALAN,CC(N)CO\nalanine,C[C@H](N)C(=O)O\n"
    files = nci_csv() + "7,alanine,,C[C@@H](N)C(=O)O,\n"
    drugs, report = find_told(told, files)
    smiles = [drug and drug.smiles for drug in drugs]
    assert smiles == [ASPIRIN.smiles, "CCN", "CC(N)CO", "C[C@@H](N)C(=O)O"]
    assert list(report.matched) == ["Aspirin", "alanine"]
    assert [note.split(": structures")[0] for note in report.notes] == ["Aspirin", "alanine"]

import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.names import cell_key, drug_key, match_names
from combo_lightning.errors import InputError


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("A549/ATCC", "A549"),
        ("LC:A549/ATCC", "A549"),
        ("A549ATCC", "A549"),
        ("MDA-MB-231/ATCC", "MDAMB231"),
        ("BR:MDA_MB_231", "MDAMB231"),
        ("HL-60(TB)", "HL60"),
        ("HL60TB", "HL60"),
        ("NCI/ADR-RES", "NCIADRRES"),
        ("HS 578T", "HS578T"),
        ("786-0", "7860"),
        ("CNS:U251", "U251"),
    ],
)
def test_spellings_of_one_line_share_a_key(name: str, key: str) -> None:
    assert cell_key(name) == key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("5-Fluorouracil", "5fluorouracil"),
        ("(+)-JQ1", "plusjq1"),
        ("(−)-JQ1", "minusjq1"),
        ("β-Lapachone", "betalapachone"),
        ("Β-LAPACHONE", "betalapachone"),  # a capital beta
    ],
)
def test_a_drugs_key_keeps_what_tells_compounds_apart(name: str, key: str) -> None:
    assert drug_key(name) == key


@given(st.text(max_size=20))
def test_a_key_is_its_own_key(name: str) -> None:
    key = cell_key(name)
    assert cell_key(key) == key
    assert all(c.isdigit() or c.isupper() for c in key)
    assert drug_key(drug_key(name)) == drug_key(name)


def test_an_exact_name_wins_over_a_key() -> None:
    report = match_names(["SR", "S-R"], ["S-R", "SR"], "lines")
    assert report.matched == {"SR": "SR", "S-R": "S-R"}


def test_what_is_not_found_gets_the_nearest_spelling() -> None:
    report = match_names(["MCF-7", "OVCAR9"], ["MCF7", "OVCAR-8"], "lines")
    assert report.matched == {"MCF-7": "MCF7"}
    assert report.unmatched == {"OVCAR9": "OVCAR-8"}
    text = "\n".join(report.lines())
    assert "lines: 1 of 2 matched" in text
    assert "nearest is 'OVCAR-8'" in text
    assert report.to_plain()["unmatched"] == {"OVCAR9": "OVCAR-8"}


def test_two_offered_names_of_one_key_are_refused() -> None:
    with pytest.raises(InputError, match="'HL60' could be 'HL-60' or 'HL 60'"):
        match_names(["HL60"], ["HL-60", "HL 60"], "lines")


@given(st.lists(st.sampled_from(["A1", "a-1", "B2", "b 2", "C3"]), unique=True, min_size=1))
def test_every_wanted_name_is_matched_or_not(wanted: list[str]) -> None:
    report = match_names(wanted, ["A1", "B-2"], "lines")
    assert set(report.matched) | set(report.unmatched) == set(wanted)
    assert not set(report.matched) & set(report.unmatched)
    for name, found in report.matched.items():
        assert cell_key(name) == cell_key(found)


def test_an_identifier_is_not_near_another() -> None:
    report = match_names(["ACH-000003"], ["ACH-002003"], "lines")
    assert report.unmatched == {"ACH-000003": None}

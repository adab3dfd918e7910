import pytest

from combo_lightning.data.cell_names import KnownLine, KnownLines, identifier
from combo_lightning.data.names import cell_key, match_names
from combo_lightning.errors import InputError


def known(**tables: list[KnownLine]) -> KnownLines:
    return KnownLines(tables, cell_key)


MODEL = [
    KnownLine("MCF7", ("ACH-000019", "CVCL_0031", "905946"), "Breast"),
    KnownLine("TT", ("ACH-001321", "CVCL_1774"), "Thyroid"),
    KnownLine("T.T", ("ACH-000707", "CVCL_3174", "T-T"), "Esophagus"),
]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ACH-000019", ("ModelID", "ACH-000019")),
        ("RRID:CVCL_0031", ("Cellosaurus accession", "CVCL_0031")),
        (" cvcl_b0ab ", ("Cellosaurus accession", "CVCL_B0AB")),
        ("SIDM00148", ("Sanger model id", "SIDM00148")),
        ("905946", ("COSMIC id", "905946")),
        ("905946.0", ("COSMIC id", "905946")),
        ("DATA.1503362", ("COSMIC id", "1503362")),
        ("COSMIC:905946", ("COSMIC id", "905946")),
        ("5637", None),
        ("786-0", None),
        ("MCF7", None),
        ("", None),
    ],
)
def test_an_identifier_is_told_by_its_shape(name: str, found: tuple[str, str] | None) -> None:
    assert identifier(name) == found


def test_a_line_is_found_by_each_of_its_names_and_what_told_is_said() -> None:
    lines = known(model=MODEL)
    for name in ("MCF7", "MCF-7", "BR:MCF7", "ACH-000019", "RRID:CVCL_0031", "COSMIC:905946"):
        assert lines.find(name)[0] == {0}, name
    assert lines.find("905946")[1] == "COSMIC id"
    assert lines.find("mcf-7")[1] == "model"
    assert lines.find("HeLa") == (frozenset(), "")
    assert lines.tissue("mcf 7") == "Breast"
    assert lines.tissue("HeLa") is None
    assert lines.synonyms("MCF7") == ["905946", "ACH-000019", "CVCL_0031"]
    assert lines.synonyms("HeLa") == []


def test_names_come_before_synonyms_and_spellings_before_keys() -> None:
    lines = known(model=MODEL)
    assert lines.find("TT")[0] == {1}
    assert lines.find("T.T")[0] == {2}
    assert lines.find("T-T")[0] == {2}
    # By key alone it could be either: the ambiguous name is known to be one.
    assert lines.find("t t")[0] == {1, 2}
    assert lines.tissue("t t") is None


def test_two_tables_are_chained_by_the_identifiers_that_they_share() -> None:
    cello = [KnownLine("MCF-7", ("CVCL_0031", "Michigan Cancer Foundation-7"))]
    report = match_names(
        ["Michigan Cancer Foundation-7", "HELA"],
        ["ACH-000019", "ACH-000002"],
        "lines",
        known=known(model=MODEL, cello=cello),
    )
    assert report.matched == {"Michigan Cancer Foundation-7": "ACH-000019"}
    assert report.how == {"Michigan Cancer Foundation-7": "cello"}
    assert "1 of them by cello: Michigan Cancer Foundation-7 = ACH-000019" in "\n".join(
        report.lines()
    )
    assert report.to_plain()["guessed"] == {
        "Michigan Cancer Foundation-7": ["ACH-000019", "cello"]
    }


def test_an_identifier_that_two_lines_of_one_table_share_joins_nothing() -> None:
    lines = known(a=[KnownLine("X", ("905946",)), KnownLine("Y", ("905946",))])
    assert lines.find("905946")[0] == {0, 1}
    assert lines.find("X")[0] == {0}


def test_identifiers_match_in_whatever_form_without_any_table() -> None:
    report = match_names(["905946", "RRID:CVCL_0031"], ["COSMIC:905946", "CVCL_0031"], "lines")
    assert report.matched == {"905946": "COSMIC:905946", "RRID:CVCL_0031": "CVCL_0031"}
    assert report.how == {"905946": "COSMIC id", "RRID:CVCL_0031": "Cellosaurus accession"}


def test_two_lines_of_one_key_are_not_joined_where_a_table_tells_them_apart() -> None:
    assert match_names(["T-T"], ["TT"], "lines").matched == {"T-T": "TT"}
    report = match_names(["T-T"], ["TT"], "lines", known=known(model=MODEL))
    assert report.matched == {}
    report = match_names(["T-T", "TT"], ["TT", "T.T"], "lines", known=known(model=MODEL))
    assert report.matched == {"T-T": "T.T", "TT": "TT"}


@pytest.mark.parametrize("lacking", [False, True])
def test_a_screens_identifier_tells_lines_of_one_key_apart(lacking: bool) -> None:
    # GDSC has T-T and TT, and DepMap's Model.csv spells the former T.T.
    model = [KnownLine("TT", ("ACH-001321", "910704")), KnownLine("T.T", ("ACH-707707", "946355"))]
    screen = [KnownLine("TT", ("910704",)), KnownLine("T-T", ("946355",))]
    names = known(model=model[:1] if lacking else model, screen=screen)
    for offered in (["ACH-001321", "ACH-707707"], ["TT", "T.T"]):
        report = match_names(["TT", "T-T"], offered, "lines", known=names)
        expected = {"TT": offered[0], "T-T": offered[1]}
        if lacking:
            del expected["T-T"]
        assert report.matched == expected


def test_two_names_that_become_one_line_are_said() -> None:
    report = match_names(["T-T", "TT"], ["TT"], "lines")
    assert "taken as one line: T-T, TT (all are 'TT' there)" in "\n".join(report.lines())


def test_an_ambiguous_name_is_refused_with_both_candidates() -> None:
    with pytest.raises(InputError, match=r"'t t' could be 'TT' or 'T.T', which read alike"):
        match_names(["t t"], ["TT", "T.T"], "lines", known=known(model=MODEL))
    synonyms = [KnownLine("A-1", ("old",)), KnownLine("B-2", ("old",))]
    with pytest.raises(InputError, match=r"'old' could be 'A-1' or 'B-2'.* by mine.*--cell_names"):
        match_names(["old"], ["A-1"], "lines", known=known(mine=synonyms))
    with pytest.raises(InputError, match=r"and so are 1 more names"):
        match_names(["old", "o-ld"], ["A-1"], "lines", known=known(mine=synonyms))


def test_the_first_table_corrects_the_second() -> None:
    mine = [KnownLine("old", ("A-1",))]
    synonyms = [KnownLine("A-1", ("old",)), KnownLine("B-2", ("old",))]
    lines = known(mine=mine, public=synonyms)
    assert match_names(["old"], ["A-1"], "lines", known=lines).matched == {"old": "A-1"}

import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.cell_names import KnownLine, KnownLines
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.merging.joining import Joined, join_entities
from combo_lightning.data.merging.lines import LineSeeker
from combo_lightning.data.names import cell_key
from combo_lightning.errors import InputError


def lines(*ids: str, **synonyms: list[str]) -> Entities:
    return build_entities(
        "cell", ids, {"synonyms": [synonyms.get(i.replace("-", "_"), []) for i in ids]}, []
    )


def join(*sets: Entities, known: KnownLines | None = None) -> Joined:
    titles = [f"set-{n}" for n in range(len(sets))]
    return join_entities(sets, titles, LineSeeker(known))


def groups(joined: Joined, *sets: Entities) -> set[frozenset[str]]:
    """Which names are one line, as 'number:name'; the order of the data sets plays no part."""
    found: dict[int, set[str]] = {}
    for entities, places in zip(sets, joined.places, strict=True):
        for name, place in zip(entities.ids, places, strict=True):
            found.setdefault(int(place), set()).add(name)
    return {frozenset(names) for names in found.values()}


def test_lines_are_joined_exactly_by_identifier_synonym_and_key() -> None:
    first = lines("MCF7", "ACH-000019", "TT", A_B=[])
    second = lines("MCF-7/ATCC", "ach-000019", "new", "TT")
    joined = join(first, second)
    assert joined.ids == ("MCF7", "ACH-000019", "TT", "new")
    assert joined.places[1].tolist() == [0, 1, 3, 2]
    (report,) = joined.reports
    assert report.how == {"MCF-7/ATCC": "the key rule", "ach-000019": "ModelID"}
    assert list(report.unmatched) == ["new"]
    assert report.to_plain()["guessed"]["MCF-7/ATCC"] == ["MCF7", "the key rule"]


def test_the_synonyms_of_either_data_set_count() -> None:
    mine, theirs = lines("K562", K562=["Cell of bone"]), lines("Cell of bone")
    for pair in ((mine, theirs), (theirs, mine)):
        joined = join(*pair)
        assert len(joined.ids) == 1
        assert joined.reports[0].how == {pair[1].ids[0]: "another name that both carry"}


def test_a_table_of_names_joins_and_tells_apart() -> None:
    table = [KnownLine("TT", ("CVCL_1774",)), KnownLine("T-T", ("CVCL_3174",)),
             KnownLine("HeLa", ("Henrietta",))]  # fmt: skip
    known = KnownLines({"mine.csv": table}, cell_key)
    joined = join(lines("TT", "HeLa"), lines("T-T", "Henrietta"), known=known)
    assert joined.ids == ("TT", "HeLa", "T-T")
    assert joined.reports[0].how == {"Henrietta": "mine.csv"}


def test_what_one_data_set_tells_apart_stays_apart() -> None:
    joined = join(lines("TT"), lines("TT", "T-T"))
    assert joined.ids == ("TT", "T-T")
    assert "'T-T' stays apart from 'TT'" in "\n".join(joined.reports[0].lines())


def test_two_guesses_at_one_line_are_refused() -> None:
    with pytest.raises(InputError, match="'M-CF7' and 'MCF-7' could both be 'MCF7'"):
        join(lines("MCF7"), lines("M-CF7", "MCF-7"))


def test_a_name_that_could_be_two_lines_is_refused() -> None:
    with pytest.raises(InputError, match=r"'t_t' could be 'TT' or 'T-T'.* --cell_names"):
        join(lines("TT", "T-T"), lines("t_t"))


def test_names_without_letters_or_digits_are_never_one_line() -> None:
    assert len(join(lines("--"), lines("++")).ids) == 2


NAMES = st.lists(
    st.sampled_from(["A1", "A-1", "a1/ATCC", "B2", "B 2", "C3", "ACH-000001", "D"]), unique=True,
    min_size=1, max_size=5,
)  # fmt: skip


@given(NAMES, NAMES)
def test_the_order_of_two_data_sets_changes_only_the_order(a: list[str], b: list[str]) -> None:
    first, second = lines(*a), lines(*b)
    try:
        forth = groups(join(first, second), first, second)
    except InputError:
        return
    try:
        back = groups(join(second, first), second, first)
    except InputError:
        return  # what is in doubt one way round is refused there
    assert forth == back


@given(st.lists(NAMES, min_size=2, max_size=4))
def test_no_line_is_lost_and_none_of_a_data_set_is_joined_to_another_of_it(
    names: list[list[str]],
) -> None:
    sets = [lines(*own) for own in names]
    try:
        joined = join(*sets)
    except InputError:
        return
    assert sorted({int(p) for places in joined.places for p in places}) == [
        *range(len(joined.ids))
    ]
    for places in joined.places:
        assert len(set(places.tolist())) == len(places)

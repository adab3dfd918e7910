from typing import Any

import pytest

from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.merging.drugs import DrugSeeker
from combo_lightning.data.merging.joining import Joined, join_entities
from combo_lightning.errors import InputError

ASPIRIN, CAFFEINE = "BSYNRYMUTXBXSQ-UHFFFAOYSA-N", "RYYVLZVUVIJVGH-UHFFFAOYSA-N"
LEVO, OFLO, DEXTRO = (
    "GSDSWSVVBLHKDQ-JTQLQIEISA-N", "GSDSWSVVBLHKDQ-UHFFFAOYSA-N", "GSDSWSVVBLHKDQ-SNVBAGLBSA-N",
)  # fmt: skip


def drugs(*rows: tuple[Any, ...]) -> Entities:
    """Each row: id, name, InChIKey, synonyms."""
    ids, names, keys, words = zip(*((*row, None, None, [])[:4] for row in rows), strict=True)
    columns = {"name": names, "inchikey": keys, "synonyms": [w or [] for w in words]}
    return build_entities("drug", ids, columns, [])


def join(*sets: Entities) -> Joined:
    return join_entities(sets, [f"set-{n}" for n in range(len(sets))], DrugSeeker())


@pytest.mark.parametrize(
    ("mine", "theirs", "how"),
    [
        (("1", "x", ASPIRIN), ("CID9", "y", ASPIRIN), "InChIKey"),
        (("d1", "Aspirin"), ("e1", "Aspirin"), "a name or synonym"),
        (("d1", "Aspirin", ASPIRIN), ("e1", "aspirin "), "the key rule"),
        (("d1", "x", None, ["NSC 27223"]), ("e1", "y", None, ["NSC 27223"]), "a name or synonym"),
        (("d1", "levofloxacin", LEVO), ("e1", "levofloxacin", OFLO), "a name or synonym"),
    ],
)
def test_drugs_are_joined_by_inchikey_then_by_names(
    mine: tuple[Any, ...], theirs: tuple[Any, ...], how: str
) -> None:
    for a, b in ((mine, theirs), (theirs, mine)):
        joined = join(drugs(a), drugs(b))
        assert joined.ids == (a[0],)
        assert joined.reports[0].how == {b[0]: how}


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (("a", "Aspirin", ASPIRIN), ("b", "Aspirin", CAFFEINE)),
        (("a", "levofloxacin", LEVO), ("b", "levofloxacin", DEXTRO)),
        (("a", "x", None, ["CHEMBL25", "w"]), ("b", "y", None, ["CHEMBL113", "w"])),
    ],
    ids=["structure", "mirror image", "identifier"],
)
def test_what_structures_or_identifiers_contradict_is_not_one_drug(
    mine: tuple[Any, ...], theirs: tuple[Any, ...]
) -> None:
    assert join(drugs(mine), drugs(theirs)).ids == ("a", "b")


def test_equal_numbers_of_two_registries_are_two_drugs_and_said() -> None:
    for key, other in ((ASPIRIN, CAFFEINE), (None, None)):
        joined = join(drugs(("740", "Methotrexate", key)), drugs(("740", "Erlotinib", other)))
        assert joined.ids == ("740", "set-1:740")
        assert "'740' is another drug in set-1" in "\n".join(joined.reports[0].lines())


def test_equal_numbers_with_one_name_or_none_are_one_drug() -> None:
    assert join(drugs(("740", "MTX")), drugs(("740", "mtx"))).ids == ("740",)
    assert join(drugs(("740", "740")), drugs(("740", "740"))).ids == ("740",)


def test_of_two_ids_of_one_compound_the_equal_one_is_taken() -> None:
    twice = drugs(("753082", "vemurafenib", ASPIRIN), ("761431", "vemurafenib", ASPIRIN))
    joined = join(twice, drugs(("761431", "PLX4032", ASPIRIN)))
    assert joined.places[1].tolist() == [1]
    assert join(drugs(("x", "PLX4032", ASPIRIN)), twice).places[1].tolist() == [0, 0]


def test_a_name_of_two_compounds_is_refused() -> None:
    with pytest.raises(InputError, match=r"'u' could be 's' or 't'.*structures"):
        join(drugs(("s", "drug", ASPIRIN), ("t", "drug", CAFFEINE)), drugs(("u", "drug")))

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.identity import (
    combine_codes,
    compound_of_drug,
    compound_sets,
    replicate_groups,
)
from tests.data.screens import make_screen

PAIR = st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(-1, 4), st.integers(0, 2))


@given(st.lists(PAIR, min_size=1, max_size=40))
def test_rows_are_replicates_exactly_if_line_drugs_and_doses_agree(
    rows: list[tuple[int, int, int, int]],
) -> None:
    doses = [(-6.0 + d, np.nan if b < 0 else -5.5 - d) for _, _, b, d in rows]
    screen = make_screen([r[0] for r in rows], [(a, b) for _, a, b, _ in rows], doses)
    keys = [
        (c, frozenset_of([(a, da), (b, db)]))
        for (c, a, b, _), (da, db) in zip(rows, doses, strict=True)
    ]
    group = replicate_groups(screen.responses)
    for i in range(len(rows)):
        for j in range(len(rows)):
            assert (group[i] == group[j]) == (keys[i] == keys[j])


def frozenset_of(treated: list[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    return tuple(sorted((a, d) for a, d in treated if a >= 0))


def test_both_orders_and_equal_compounds_are_one_set() -> None:
    screen = make_screen([0, 0, 0, 0], [[0, 1], [1, 0], [2, 1], [0, -1]])
    keys = ["SAME", "OTHER", "SAME"]
    screen.drugs.annotations["inchikey"] = keys
    compound = compound_of_drug(screen)
    assert compound.tolist() == [0, 1, 0]
    sets = compound_sets(screen.responses, compound)
    assert sets[0] == sets[1] == sets[2] != sets[3]


def test_drugs_without_inchikey_are_compounds_of_their_own() -> None:
    screen = make_screen([0, 0], [[0, 1], [2, 3]])
    screen.drugs.annotations["inchikey"] = [None, None, "A", "A"]
    assert compound_of_drug(screen).tolist() == [0, 1, 2, 2]


@given(st.lists(st.tuples(st.integers(-1, 9), st.integers(-1, 3)), min_size=1, max_size=30))
def test_combined_codes_are_dense_and_ordered(rows: list[tuple[int, int]]) -> None:
    table = np.array(rows)
    code = combine_codes([table[:, 0], table[:, 1]])
    distinct = sorted(set(rows))
    assert [distinct[c] for c in code] == rows

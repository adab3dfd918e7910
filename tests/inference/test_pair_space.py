"""Every pair once, for any choice of drugs."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.inference import pair_space
from combo_lightning.inference.pair_space import PairSpace

drugs = st.lists(st.integers(0, 12), unique=True, min_size=1, max_size=10)


@given(drugs=drugs, contains=st.none() | drugs, ordered=st.booleans())
def test_each_pair_comes_once(
    drugs: list[int], contains: list[int] | None, *, ordered: bool
) -> None:
    space = PairSpace(
        np.array(drugs), None if contains is None else np.array(contains), ordered=ordered
    )
    wanted = {
        (a, b)
        for a in {*drugs, *(contains or [])}
        for b in {*drugs, *(contains or [])}
        if a != b
        and (contains is None or a in contains or b in contains)
        # A drug outside the library stands only beside one of the library.
        and (a in drugs or b in drugs)
        and (contains is None or a in drugs or a in contains)
    }
    with (
        patch.object(pair_space, "FIRST_AT_ONCE", 2),
        patch.object(pair_space, "SECOND_AT_ONCE", 3),
    ):
        found = [
            (int(block.first_A[i]), int(block.second_E[j]))
            for block in space.blocks()
            for i, j in zip(block.i_N, block.j_N, strict=True)
        ]
    assert len(found) == len(set(found)) == len(space)
    if ordered:
        assert set(found) == wanted
    else:
        assert {frozenset(pair) for pair in found} == {frozenset(pair) for pair in wanted}
        assert len({frozenset(pair) for pair in found}) == len(found)

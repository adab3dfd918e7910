"""Parts are cut evenly, and exactly one of them ends last."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.errors import InputError
from combo_lightning.parts import Part, claim, last_part, order_of_end


@given(total=st.integers(0, 10**12), of=st.integers(1, 50))
def test_shares_follow_each_other_and_are_equal(total: int, of: int) -> None:
    shares = [Part(number, of).share(total) for number in range(1, of + 1)]
    assert shares[0][0] == 0
    assert shares[-1][1] == total
    assert all(a[1] == b[0] for a, b in itertools.pairwise(shares))
    sizes = {end - begin for begin, end in shares}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "-1/3", "1/0", "1/3/5", ""])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"give K/N, such as 2/8"):
        Part.read(text)
    assert Part.read("3/3") == Part(3, 3)


def test_of_parts_that_end_together_one_is_the_last(tmp_path: Path) -> None:
    parts = [Part(number, 24) for number in range(1, 25)]
    assert last_part(tmp_path, 24) is None
    with ThreadPoolExecutor(24) as pool:
        places = list(pool.map(lambda part: order_of_end(tmp_path, part), parts))
    assert sorted(places) == list(range(1, 25))
    # Asked again, each has its place still.
    assert [order_of_end(tmp_path, part) for part in parts] == places
    assert last_part(tmp_path, 24) == 1 + places.index(24)


def test_of_those_who_claim_a_file_the_first_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda n: claim(file, str(n) * 1000), range(8)))
    assert len(found) == 1
    assert [path.name for path in file.parent.iterdir()] == ["file"]

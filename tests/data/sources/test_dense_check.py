from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from combo_lightning.data.sources.dense_check import find_cut
from combo_lightning.data.sources.dense_cut import Cut, fewest_entities, parse_slices
from combo_lightning.data.sources.matrix_file import JoinedMatrix, open_matrix
from combo_lightning.errors import InputError
from tests.data.sources.matrices import Drawn, Floats, draw, write


@settings(max_examples=60, deadline=None)
@given(
    widths=st.tuples(st.integers(1, 30), st.integers(2, 40)),
    lines=st.integers(2, 12),
    drugs=st.integers(3, 15),
    slots=st.integers(2, 3),
    seed=st.integers(0, 999),
)
def test_the_right_cut_is_found_whatever_the_widths(
    widths: tuple[int, int], lines: int, drugs: int, slots: int, seed: int
) -> None:
    drawn = draw(400, lines, drugs, widths, slots, seed)
    found = fewest_entities(np.ascontiguousarray(drawn.matrix.T), slots, (0, drawn.edges[-1]))
    assert found is not None
    cut, counts = found
    assert cut == parse_slices(drawn.slices, drawn.edges[-1], None)
    assert (counts.cells, counts.drugs, counts.shared) == (lines, drugs, drugs * (slots - 1))


@pytest.mark.parametrize("values", [2, 3, 50])
def test_it_is_found_among_counts_and_bits_too(values: int) -> None:
    random = np.random.default_rng(values)
    cells = random.integers(values, size=(8, 40)).astype(np.float32)
    drugs = random.integers(values, size=(10, 60)).astype(np.float32)
    rows = (
        random.integers(8, size=500),
        random.integers(10, size=500),
        random.integers(10, size=500),
    )
    matrix = np.concatenate([cells[rows[0]], drugs[rows[1]], drugs[rows[2]]], axis=1)
    found = fewest_entities(np.ascontiguousarray(matrix.T), 2, (0, 160))
    assert found is not None
    assert found[0] == Cut((0, 40), ((40, 100), (100, 160)))


def test_of_the_reference_sets_two_cuts_the_right_one_is_found() -> None:
    random = np.random.default_rng(5)
    cells = random.standard_normal((20, 921), dtype=np.float32)
    drugs = random.standard_normal((25, 3829), dtype=np.float32)
    rows = [random.integers(n, size=300) for n in (20, 25, 25)]
    matrix = np.concatenate([cells[rows[0]], drugs[rows[1]], drugs[rows[2]]], axis=1)
    found = fewest_entities(np.ascontiguousarray(matrix.T), 2, (0, 8579))
    assert found is not None
    assert found[0].options() == (
        "--slice cell=0:921 --slice drug_1=921:4750 --slice drug_2=4750:8579"
    )


def check(
    tmp_path: Path,
    matrix: Floats,
    slices: list[str],
    kind: str = "npy",
    disjoint: bool = False,
) -> Cut:
    path = write(matrix, tmp_path / f"x.{kind}")
    joined = JoinedMatrix((open_matrix(path, "--features"),))
    return find_cut([joined], slices, None, disjoint=disjoint)


DRAWN = draw(600, lines=8, drugs=9, widths=(20, 30))
PROPOSED = (
    r"the cut with the fewest entities \(8 cell lines and 9 drugs\) is "
    "--slice cell=0:20 --slice drug_1=20:50 --slice drug_2=50:80"
)


@pytest.mark.parametrize("kind", ["npy", "csv", "npz", "parquet"])
@pytest.mark.parametrize(
    ("slices", "problem"),
    [
        (
            ["cell=0:24", "drug_1=24:52", "drug_2=52:80"],
            "no drug of one slot is a drug of another",
        ),
        (
            ["cell=0:18", "drug_1=18:49", "drug_2=49:80"],
            "no drug of one slot is a drug of another",
        ),
        (["cell=0:21", "drug_1=21:51", "drug_2=51:80"], "the drugs have 30 and 29 columns"),
        ([], "say which columns are the cell line's"),
    ],
)
def test_a_wrong_cut_is_refused_with_the_right_one(
    tmp_path: Path, slices: list[str], problem: str, kind: str
) -> None:
    with pytest.raises(InputError, match=f"{problem}.*{PROPOSED}"):
        check(tmp_path, DRAWN.matrix, slices, kind)


def test_zeros_in_both_slots_do_not_hide_a_wrong_cut(tmp_path: Path) -> None:
    matrix = DRAWN.matrix.copy()
    matrix[::10, 20:] = 0  # untreated wells
    wrong = ["cell=0:24", "drug_1=24:52", "drug_2=52:80"]
    with pytest.raises(InputError, match="no drug of one slot is a drug of another"):
        check(tmp_path, matrix, wrong)


def test_a_cut_that_shares_a_drug_by_chance_gives_way_to_one_with_far_fewer(
    tmp_path: Path,
) -> None:
    matrix = DRAWN.matrix.copy()
    # Under the wrong cut row 0's drug_1 is row 1's drug_2.
    matrix[1, 52:80] = matrix[0, 24:52]
    with pytest.raises(InputError, match=r"another cut gives far fewer.*--slice cell=0:20"):
        check(tmp_path, matrix, ["cell=0:24", "drug_1=24:52", "drug_2=52:80"])


def test_a_column_that_numbers_the_rows_is_found(tmp_path: Path) -> None:
    matrix = np.concatenate([np.arange(600)[:, None], DRAWN.matrix], axis=1).astype(np.float32)
    right = r"cell=1:21 --slice drug_1=21:51 --slice drug_2=51:81 --slice ignore=0:1"
    with pytest.raises(InputError, match=f"hardly a cell line stands in two rows.*{right}"):
        check(tmp_path, matrix, ["cell=0:21", "drug_1=21:51", "drug_2=51:81"])
    cut = check(tmp_path, matrix, ["ignore=0:1", "cell=1:21", "drug_1=21:51", "drug_2=51:81"])
    assert cut == Cut((1, 21), ((21, 51), (51, 81)), ((0, 1),))


def test_noise_has_no_cut(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal((300, 80), dtype=np.float32)
    with pytest.raises(
        InputError, match=r"300 cell lines and 600 drugs in 300 rows: no drug.*no cut"
    ):
        check(tmp_path, noise, ["cell=0:20", "drug_1=20:50", "drug_2=50:80"])
    with pytest.raises(
        InputError, match=r"300 cell lines and 300 drugs in 300 rows: hardly a cell"
    ):
        check(tmp_path, noise, ["cell=0:20", "drug_1=20:80"])


def test_a_library_whose_drugs_hardly_come_again_is_counted_on_all_rows(tmp_path: Path) -> None:
    # Of 3,000 drugs a sample of 2,048 rows sees few twice.
    drawn = draw(9000, lines=2, drugs=3000, widths=(5, 6))
    assert check(tmp_path, drawn.matrix, drawn.slices).cell == (0, 5)
    # In order of the first drug, a stream's first rows share no drug at all.
    order = np.argsort(drawn.matrix[:, 5], kind="stable")
    assert check(tmp_path, drawn.matrix[order], drawn.slices, "csv").cell == (0, 5)


def test_a_library_against_anchors_shares_no_drug_if_that_is_said(tmp_path: Path) -> None:
    matrix = DRAWN.matrix.copy()
    matrix[:, 50:80] += 1  # the anchors
    right, wrong = DRAWN.slices, ["cell=0:24", "drug_1=24:52", "drug_2=52:80"]
    with pytest.raises(InputError, match=r"In a screen against anchors say --disjoint_drugs true"):
        check(tmp_path, matrix, right)
    assert check(tmp_path, matrix, right, disjoint=True).drugs == ((20, 50), (50, 80))
    with pytest.raises(InputError, match=r"another cut gives far fewer.*--slice cell=0:20"):
        check(tmp_path, matrix, wrong, disjoint=True)


def test_drugs_may_stand_before_the_cell_line(tmp_path: Path) -> None:
    turned = np.concatenate([DRAWN.matrix[:, 20:], DRAWN.matrix[:, :20]], axis=1)
    slices = ["drug_1=0:30", "drug_2=30:60", "cell=60:80"]
    assert check(tmp_path, turned, slices).cell == (60, 80)


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (["cell=0-20"], "cannot read 'cell=0-20'; write NAME=START:END"),
        (["0:20"], "cannot read '0:20'"),
        (["cell=a:20"], "cannot read 'cell=a:20'"),
        (["cell=0:90"], "'cell=0:90' leaves the matrix, whose columns are 0:80, or is empty"),
        (["cell=5:5"], "or is empty"),
        (["cell=0:20", "cell=20:50"], "'cell' is given twice"),
        (["cell=0:20"], "there is no 'drug_1'"),
        (["cell=0:20", "drug=20:80"], "there is no 'drug_1'"),
        (["cell=0:20", "drug_1=20:50", "drug_3=50:80"], "there is no 'drug_2'"),
        (
            ["cell=0:20", "drug_1=20:50", "drug_2=49:80"],
            r"'drug_1' \(20:50\) and 'drug_2' \(from 49",
        ),
        (
            ["cell=0:20", "drug_1=20:50", "drug_2=50:79"],
            "columns 79:80 of 80 are in no part.*ignore=79",
        ),
        (["cell=1:20", "drug_1=20:50", "drug_2=50:80"], "columns 0:1 of 80 are in no part"),
    ],
)
def test_slices_that_cannot_be_say_why(slices: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_slices(slices, 80, None)


def test_starts_and_ends_may_be_left_out() -> None:
    cut = parse_slices(["cell=:20", "drug_1=20:50", "drug_2=50:"], 80, None)
    assert cut == Cut((0, 20), ((20, 50), (50, 80)))


def test_single_drugs_have_a_cut_too(tmp_path: Path) -> None:
    drawn: Drawn = draw(slots=1)
    assert check(tmp_path, drawn.matrix, drawn.slices) == Cut((0, 4), ((4, 7),))

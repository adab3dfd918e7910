"""A user's split is taken as it is, or refused with the place of what is wrong."""

import gzip
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.splits import PARTS, SplitConfig, draw_split, write_split
from combo_lightning.errors import InputError
from tests.data.screens import full_screen, make_cells, make_drugs, make_screen


def two_pairs() -> ScreenDataset:
    """Two pairs in two lines of one tissue; rows 0 and 4 are one pair in both orders."""
    return make_screen(
        [0, 0, 1, 1, 0], [[0, 1], [1, 2], [0, 1], [1, 2], [1, 0]], drugs=make_drugs(3)
    )


def parts_by(path: Path, dataset: ScreenDataset | None = None) -> list[str]:
    config = SplitConfig(kind="file", file=str(path))
    return [PARTS[p] for p in draw_split(dataset or two_pairs(), config, 1).part_N]


@pytest.fixture
def parts_of_text(tmp_path: Path) -> Callable[[str], list[str]]:
    def parts(text: str) -> list[str]:
        path = tmp_path / "parts.csv"
        path.write_text(text)
        return parts_by(path)

    return parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cell_id,part\nC0,train\nC1,test\n", "train train test test train"),
        ("drug_1,drug_2,part\n101,100,test\n101,102,train\n", "test train test train test"),
        ("row,part\n1,train\n3,test\n", "unused train unused test unused"),
        ("row,cell_id,part\n1,C0,train\n3,C1,test\n", "unused train unused test unused"),
        ("tissue,part\nT0,train\n", "train train train train train"),
        (
            "cell_id,drug_1,drug_2,part\nC0,102,101,train\nC1,100,101,validation\n",
            "unused train validation unused unused",
        ),
        ("cell_id,part\nC0,train\nC1,tournament\n", "train train tournament tournament train"),
        ("\ufeffpart,note,cell_id\r\ntrain,any,C0\r\n", "train train unused unused train"),
    ],
)
def test_a_file_may_name_lines_tissues_pairs_in_any_order_or_rows(
    parts_of_text: Callable[[str], list[str]], text: str, expected: str
) -> None:
    assert parts_of_text(text) == expected.split()


def test_rows_that_the_file_does_not_name_are_counted(
    parts_of_text: Callable[[str], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        parts_of_text("row,part\n1,train\n3,test\n")
    assert "3 of 5 rows are unused" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell_id,prt\nC0,train\n", "no column 'part' .*did you mean 'prt'"),
        ("cell_id,part\nC0,train\nC1,trian\n", "line 3, column 'part' .*did you mean 'train'"),
        ("cell_id,part\nC0,\n", "column 'part' is empty; it must be one of train, tournament"),
        ("cell_id,part\nC9,train\n", "line 2, column 'cell_id' holds 'C9'; it must be in the"),
        ("drug_1,drug_2,part\n100,01,train\n", "column 'drug_2' holds '01'.*did you mean '101'"),
        ("cell_id,part\n,train\n", "column 'cell_id' is empty"),
        ("drug_1,part\n100,train\n", "a split file needs"),
        ("note,part\nx,train\n", "a split file needs"),
        ("row,part\n0,train\n4,test\n", "rows 0 and 4 into different parts"),
        ("row,part\n9,train\n", "line 2, column 'row' holds '9'; it must be a whole number from"),
        ("row,part\n0.5,train\n", "holds '0.5'; it must be a whole number from 0 to 4"),
        ("row,part\nfirst,train\n", "holds 'first'"),
        ("row,part\n1,train\n3,train\n1,train\n", "line 4 names row 1 again"),
        ("row,cell_id,part\n1,C1,train\n", "line 2: row 1 of the data set has another cell_id"),
        ("cell_id,part\nC0,train\nC1,test\nC0,test\n", "line 4 names what line 2 puts into a"),
        ("drug_1,drug_2,part\n100,101,train\n101,100,test\n", "line 3 names what line 2 puts"),
        ("cell_id,part\nC0,test\n", "put some rows into 'train' in .*parts.csv"),
        ("cell_id,part\n", "has a header but no rows"),
        ("cell_id;part\nC0;train\n", "separated by semicolons"),
        ("cell_id,part,part\nC0,train,test\n", "two columns named 'part'"),
    ],
)
def test_a_bad_split_file_is_refused(
    parts_of_text: Callable[[str], list[str]], text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        parts_of_text(text)


def test_a_file_without_the_tournament_rows_that_were_asked_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "parts.csv"
    config = SplitConfig(kind="file", file=str(path), tournament_fraction=0.1)
    path.write_text("cell_id,part\nC0,train\nC1,tournament\n")
    assert draw_split(two_pairs(), config, 1).tournament_rows.tolist() == [2, 3]
    path.write_text("cell_id,part\nC0,train\nC1,test\n")
    with pytest.raises(InputError, match=r"put some rows into 'tournament' in .*parts\.csv"):
        draw_split(two_pairs(), config, 1)


def test_a_missing_or_truncated_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.split\.file: .*nowhere\.csv"):
        parts_by(tmp_path / "nowhere.csv")
    whole = gzip.compress(b"cell_id,part\n" + b"C0,train\n" * 9999)
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged or truncated"):
        parts_by(torn)


@pytest.mark.parametrize("as_number", [int, float])
def test_numbers_in_parquet_are_names_too(tmp_path: Path, as_number: type) -> None:
    path = tmp_path / "parts.parquet"
    pairs: dict[str, list[Any]] = {
        "drug_1": [as_number(100), as_number(101)],
        "drug_2": [as_number(101), as_number(102)],
        "part": ["test", "train"],
    }
    pd.DataFrame(pairs).to_parquet(path)
    assert parts_by(path) == ["test", "train", "test", "train", "test"]


def test_rows_are_counted_over_the_batches_of_a_long_file(tmp_path: Path) -> None:
    path, many = tmp_path / "parts.parquet", 270_000
    lines = {"cell_id": ["C0"] * many + ["C1"], "part": ["train"] * many + ["trian"]}
    pd.DataFrame(lines).to_parquet(path)
    with pytest.raises(InputError, match="row 270001, column 'part' holds 'trian'"):
        parts_by(path)


def test_drugs_of_equal_structure_are_one_and_an_empty_field_is_an_empty_slot(
    tmp_path: Path,
) -> None:
    drugs = make_drugs(4, ["A", "B", None, "A"])
    dataset = make_screen([0, 0, 0], [[0, 1], [3, -1], [-1, 2]], drugs=drugs)
    path = tmp_path / "parts.tsv"
    path.write_text("drug_1\tdrug_2\tpart\n103\t101\ttrain\n\t100\ttest\n102\t\tvalidation\n")
    assert parts_by(path, dataset) == ["train", "test", "validation"]


def test_the_file_of_another_data_set_is_refused_by_row_and_fits_by_name(tmp_path: Path) -> None:
    dataset = full_screen(cells=8, drugs=7)
    path = tmp_path / "split.parquet"
    split = draw_split(dataset, SplitConfig(), 1)
    write_split(split, dataset, path)
    order = np.random.default_rng(0).permutation(len(dataset.responses))
    moved = make_screen(
        dataset.responses.cell_N[order],
        dataset.responses.drug_NK[order],
        cells=dataset.cells,
        drugs=dataset.drugs,
    )
    with pytest.raises(InputError, match="the file was made for another data set"):
        parts_by(path, moved)
    pd.read_parquet(path).drop(columns="row").to_csv(tmp_path / "names.csv", index=False)
    assert parts_by(tmp_path / "names.csv", moved) == [PARTS[p] for p in split.part_N[order]]


@settings(max_examples=30)
@given(st.data())
def test_a_file_of_lines_and_pairs_means_what_a_loop_over_rows_says(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Every pair in every line, given in whatever order, against a dictionary."""
    drugs = st.lists(st.integers(-1, 4), min_size=2, max_size=2).filter(lambda d: max(d) >= 0)
    rows = data.draw(st.lists(st.tuples(st.integers(0, 3), drugs), min_size=1, max_size=20))
    keys = [(c, tuple(sorted(d))) for c, d in rows]
    part = {key: data.draw(st.sampled_from(PARTS)) for key in sorted(set(keys))}
    part[keys[0]] = "train"
    names = {i: str(100 + i) for i in range(5)} | {-1: None}
    frame = pd.DataFrame(
        [
            (f"C{c}", *(names[i] for i in data.draw(st.permutations(d))), part[c, d])
            for c, d in part
        ],
        columns=["cell_id", "drug_1", "drug_2", "part"],
    )
    path = tmp_path_factory.mktemp("split") / "parts.csv"
    frame.to_csv(path, index=False)
    dataset = make_screen(
        [c for c, _ in rows], [d for _, d in rows], cells=make_cells(4), drugs=make_drugs(5)
    )
    assert parts_by(path, dataset) == [part[key] for key in keys]

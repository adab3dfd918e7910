from pathlib import Path

import numpy as np
import pytest

from combo_lightning.errors import InputError
from scripts.bench.drugcomb import rows, write_summary
from tests.data.sources.combination_fixtures import (
    drugcomb_table,
    plain_rows,
    prepare,
    rows_of,
)
from tests.data.sources.fuzz import Table, Variant, judge, variants

TABLE = drugcomb_table()


def write(tmp_path: Path, table: Table = TABLE) -> Path:
    path = tmp_path / "summary_v_1_5.csv"
    path.write_text(table.text(), encoding="utf-8")
    return path


def test_the_fixture_is_in_the_official_layout() -> None:
    head, first, single, _, _ = TABLE.text().split("\n")
    assert head.startswith('"block_id","drug_row","drug_col","cell_line_name","study_name"')
    assert first.startswith('"1","5-FU","ABT-888","A2058","ONEIL"')
    assert '"uM"' not in single
    assert single.startswith('"3","ABT-888",\\N,')


@pytest.mark.parametrize(
    ("response", "first", "second"),
    [
        ("zip", 3.866, -1.25), ("loewe", -6.25, -6.25), ("hsa", 5.537, 5.5),
        ("bliss", 6.257, 6.25), ("css", 20.5, 21.5), ("s_sum", -1.5, -1.5),
        ("s_mean", 2.25, 2.25), ("s_max", -3.75, -3.75),
    ],
)  # fmt: skip
def test_a_block_is_a_row_and_its_replicate_another(
    tmp_path: Path, response: str, first: float, second: float
) -> None:
    dataset = prepare(write(tmp_path), response)
    pair = ("A2058", "5-FU", "ABT-888")
    assert rows_of(dataset) == sorted([(*pair, first), (*pair, second)], key=str)
    made_by = dataset.manifest["made_by"]
    assert made_by["format"] == "DrugComb summary"
    # The single drug has no score in the file either.
    assert made_by["dropped"] == {"missing response": 1}
    assert dataset.cells.annotation("tissue") == ["skin"]
    assert dataset.responses.studies == ("ONEIL",)


def test_a_single_drug_that_states_a_score_is_dropped(tmp_path: Path) -> None:
    place = TABLE.header.index("synergy_zip")
    first, single, again = TABLE.rows
    scored = [*single[:place], "0", *single[place + 1 :]]
    table = Table(**{**TABLE.__dict__, "rows": [first, scored, again]})
    dataset = prepare(write(tmp_path, table), "zip")
    assert dataset.manifest["made_by"]["dropped"] == {"single drug (a score needs two)": 1}


def test_each_drug_of_a_block_has_an_ic50_in_its_own_unit(tmp_path: Path) -> None:
    dataset = prepare(write(tmp_path), "ic50")
    expected = [
        ("A2058", "5-FU", 1234.5e-6), ("A2058", "5-FU", 2.5e-6), ("A2058", "ABT-888", 0.5e-6),
        ("A2058", "ABT-888", 0.75e-6), ("MDAMB436", "ABT-888", 250e-9),
    ]  # fmt: skip
    found = rows_of(dataset)
    assert found == sorted(
        [(cell, drug, round(float(np.log10(x)), 3)) for cell, drug, x in expected], key=str
    )
    assert dataset.responses.drug_NK.shape == (5, 1)
    assert dataset.cells.annotation("tissue") == ["skin", "breast"]
    assert dataset.manifest["made_by"]["dropped"] == {}


def test_ic50s_that_are_none_are_dropped_and_counted(tmp_path: Path) -> None:
    text = TABLE.text().replace('"1234.5"', '"0"').replace('"nM"', '"IU/ml"')
    text = text.replace('"0.75"', "\\N")
    path = tmp_path / "s.csv"
    path.write_text(text)
    dataset = prepare(path, "ic50")
    assert len(dataset.responses) == 2
    assert dataset.manifest["made_by"]["dropped"] == {
        "IC50 not above 0": 1,
        "IC50 in 'IU/ml', which is no molar unit": 1,
        "missing response": 1,
    }


def test_what_is_wrong_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"which gives bliss, hsa, loewe, zip, css, .*ic50"):
        prepare(write(tmp_path), "auc")
    path = tmp_path / "s.csv"
    path.write_text(TABLE.text().replace('"1234.5"', '"high"'))
    with pytest.raises(InputError, match="line 2, column 'ic50_row' holds 'high'"):
        prepare(path, "ic50")
    path.write_text(TABLE.text().replace('"ic50_col"', '"ic50col2"'))
    with pytest.raises(InputError, match="has no column 'ic50_col'; did you mean 'ic50col2'"):
        prepare(path, "ic50")
    assert not (tmp_path / "out").exists()


def test_the_full_size_layout_is_read_as_it_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    write_summary(path, 300)
    drawn = [row for row in rows(300) if row[2] is not None]
    dataset = prepare(path, "zip")
    assert len(dataset.responses) == len(drawn)
    expected = [(r[3], r[1], r[2], round(float(np.float32(r[18])), 3)) for r in drawn if r[18]]
    assert rows_of(dataset) == sorted(expected, key=str)
    singles = sum(row[2] is None for row in rows(300))
    assert len(prepare(path, "ic50").responses) == 600 - singles


@pytest.mark.parametrize("variant", list(variants(TABLE)), ids=lambda variant: variant.name)
def test_no_way_of_writing_the_scores_is_read_wrong(variant: Variant, tmp_path: Path) -> None:
    truth = plain_rows(TABLE.content(), "zip")
    judge(variant, tmp_path, lambda path: rows_of(prepare(path, "zip")), truth)


_IC50S = Table(
    **{**TABLE.__dict__, "numbers": ["ic50_row"], "required": ["drug_row", "ic50_row", "ic50_col"]}
)


@pytest.mark.parametrize("variant", list(variants(_IC50S)), ids=lambda variant: variant.name)
def test_no_way_of_writing_the_ic50s_is_read_wrong(variant: Variant, tmp_path: Path) -> None:
    truth = plain_rows(TABLE.content(), "ic50")
    judge(variant, tmp_path, lambda path: rows_of(prepare(path, "ic50")), truth)

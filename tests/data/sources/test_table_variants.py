"""The user's own tables, tables of names and NCI-ALMANAC's in a hundred ways: none read wrong."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.simulator_raw import HEADER
from combo_lightning.data.sources.almanac_combo_score import prepare_combo_scores
from combo_lightning.data.sources.almanac_growth import prepare_growth
from combo_lightning.data.sources.cell_names_file import read_known_lines
from combo_lightning.data.sources.dense import DenseFiles, DenseLayout, prepare_dense
from combo_lightning.data.sources.screen_entities import EntityFiles
from combo_lightning.data.sources.table import EntityTables, prepare_table
from combo_lightning.data.sources.table_entities import read_cells_table
from combo_lightning.data.sources.table_layout import TableMapping
from combo_lightning.errors import InputError
from tests.data.sources.fixtures import well
from tests.data.sources.fuzz import Table, judge, variants
from tests.data.sources.matrices import unfold
from tests.data.sources.profile_fixtures import MODEL

Read = Callable[[Path], Any]
NO_FILES = EntityFiles(drugs=[], cells=None, profiles={}, genes=None, chemistry=())


def table(text: str, numbers: tuple[str, ...], required: tuple[str, ...], **more: Any) -> Table:
    header, *rows = csv.reader(io.StringIO(text))
    return Table(header, rows, numbers, required, **more)


def measured(dataset: ScreenDataset) -> set[tuple[object, ...]]:
    """Give the measurements; columns of lines may stand in any order."""
    rows = dataset.responses
    ids = [*dataset.drugs.ids, None]
    doses: Any = [[]] * len(rows) if rows.log10_molar_NK is None else rows.log10_molar_NK.round(4)
    return {
        (dataset.cells.ids[c], *(ids[d] for d in drugs), float(y), str(dose))
        for c, drugs, y, dose in zip(
            rows.cell_N, rows.drug_NK.tolist(), rows.response_N, doses, strict=True
        )
    }


def target(path: Path) -> Target:
    return Target(path.parent / "set", {"command": ["x"]}, overwrite=True)


def responses(kind: str, *, matrix: bool = False) -> Read:
    mapping = TableMapping(matrix=matrix)
    nothing = EntityTables(None, [], ())
    return lambda path: measured(
        read_dataset(prepare_table(path, kind, mapping, nothing, target(path)))
    )


def cells(path: Path) -> dict[tuple[str, str], float]:
    lines = ["MCF7", "HL-60(TB)", "A549"]
    block = read_cells_table(path, lines)[0].blocks["features"]
    return {
        (line, name): value
        for line, values in zip(lines, block.values_EF.tolist(), strict=True)
        for name, value in zip(block.feature_names, values, strict=True)
    }


def names(path: Path) -> tuple[object, ...]:
    known = read_known_lines([path])
    asked = ["MCF7", "ACH-000019", "CVCL_0031", "905946", "905949", "HL-60", "older A", "B-2"]
    return len(known), [known.find(name)[0] for name in asked], known.tissue("HL-60")


def scores(path: Path) -> tuple[set[tuple[object, ...]], set[str]]:
    dataset = read_dataset(prepare_combo_scores(path, NO_FILES, target(path)))
    return measured(dataset), set(dataset.cells.ids)


def growth(path: Path) -> set[tuple[object, ...]]:
    return measured(read_dataset(prepare_growth(path, "growth", NO_FILES, target(path))))


def dense(path: Path) -> list[list[float]]:
    responses = path.parent / "y.txt"
    responses.write_text("1\n2\n3\n4\n")
    layout = DenseLayout(["cell=0:1", "drug_1=1:3", "drug_2=3:5"])
    parts = [DenseFiles([path], responses)]
    made = prepare_dense(parts, "other", layout, 0.25, target(path))
    return unfold(read_dataset(made)).tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Case:
    """A table, who reads it under which option, and how many variants are read, not refused."""

    table: Table
    read: Read
    option: str
    fewest: int


LINES = ("MCF7", "A549/ATCC", "HL-60(TB)")
LOWER = "names in lower case"
SHUFFLED = ("columns reversed", *(f"columns shuffled {seed}" for seed in range(3)))
CASES = {
    "long": Case(
        table(
            "cell_id,drug_1,drug_2,combo_score\nMCF7,740,752,1.5\nHL-60(TB),740,,-2000\n"
            "MCF7,752,740,3\n",
            ("combo_score",),
            ("cell_id", "drug_1", "combo_score"),
        ),
        responses("combo_score"), "--responses", 40,
    ),
    "doses": Case(
        table(
            "cell_id,drug_1,drug_2,dose_1_uM,dose_2_uM,growth\nMCF7,740,752,0.5,1.25,60.5\n"
            "HL-60(TB),740,,1500.5,,-20\nMCF7,752,740,2,0.1,3\n",
            ("dose_1_uM", "dose_2_uM", "growth"),
            ("cell_id", "drug_1", "dose_1_uM", "growth"),
        ),
        responses("growth"), "--responses", 40,
    ),
    "ic50": Case(
        table(
            "cell_id,drug,ic50_nM\nMCF7,740,50.5\nHL-60(TB),740,2000\nMCF7,752,1500.25\n",
            ("ic50_nM",),
            ("cell_id", "drug", "ic50_nM"),
        ),
        responses("ic50"), "--responses", 40,
    ),
    "matrix": Case(
        table(
            "NSC1,NSC2,MCF7,HL-60(TB)\n740,752,1.5,NA\n752,740,3,\n752,,-0.25,-4000\n",
            ("MCF7", "HL-60(TB)"), ("NSC1",), missing="NA", extra_columns=False,
        ),
        responses("combo_score", matrix=True), "--responses", 26,
    ),
    "cells": Case(
        table(
            "cell_id,tissue,EGFR,TP53\nMCF7,Breast,1.5,2000\nHL-60(TB),Blood,-2000.5,0.5\n"
            "A549,Lung,-7,3000\n",
            ("EGFR", "TP53"), (),
        ),
        cells, "--cells", 36,
    ),
    "Model.csv": Case(table(MODEL, (), ()), names, "--cell_names", 43),
    "names": Case(
        table("name,synonyms\nMCF7,old A;older A\nB-2,x\n", (), ("name",)),
        names, "--cell_names", 43,
    ),
    "scores": Case(
        table(
            "NSC1,NSC2,MCF7,A549/ATCC,HL-60(TB)\n740,752,10,-20,NA\n752,740,1200,-18.5,5\n"
            "3053,740,NA,7,-300\n",
            LINES, ("NSC1", "NSC2"), missing="NA", extra_columns=False,
        ),
        scores, "--scores", 26,
    ),
    "wells": Case(
        table(
            "\n".join([
                HEADER, well(growth="95.5"), well("740", "1e-06", "752", "2e-07", "30", "40"),
                well("752", "0.01", growth="-80.25"), well("752", "0.001", growth="900.5"),
            ]),
            ("CONC1", "CONC2", "PERCENTGROWTH"),
            ("NSC1", "NSC2", "CONC1", "PERCENTGROWTH", "CELLNAME"),
        ),
        growth, "--growth", 40,
    ),
    "dense": Case(
        table(
            "a,b,c,d,e\n1.5,-2000,7,0,4e-3\n3,0,4e-3,-2000,7\n1.5,1,7.5,0,4e-3\n3,-2000,7,1,7.5\n",
            tuple("abcde"), (), extra_columns=False,
        ),
        dense, "--", 20,
    ),
}  # fmt: skip
# What these readers name after the columns' own spelling, or tell by their places.
OTHERWISE = {
    "matrix": (LOWER,),
    "cells": (LOWER, "underscores for blanks and points"),
    "scores": (LOWER,),
    "dense": SHUFFLED,
}
# They hold no measurement, what looks like one is as good a name as another; and Excel leaves
# separators at the ends of rows away.
OF_NAMES = ("Model.csv", "names")
NOT_OF_NAMES = ("a number with", "a field too few")


@pytest.mark.parametrize("name", CASES)
def test_each_variant_is_read_right_or_refused(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    plain = tmp_path / "plain.csv"
    plain.write_bytes(case.table.content())
    truth = case.read(plain)
    found = [
        judge(way, tmp_path, case.read, truth)
        for way in variants(case.table)
        if way.name not in OTHERWISE.get(name, ())
        and not (name in OF_NAMES and way.name.startswith(NOT_OF_NAMES))
    ]
    assert found.count("read") >= case.fewest
    for outcome in found:
        assert outcome == "read" or outcome.startswith(case.option), outcome


@pytest.mark.parametrize(
    "number", ["1,5", "1 500.5", "1'500", "1.500,5", '="1.5"', "−2", "-1,000", ">3", "2*"]
)
def test_a_feature_whose_numbers_are_all_mangled_is_no_text(number: str, tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(f"cell\tx\tnote\nMCF7\t{number}\t1.5.2024\nA549\t{number}\t7-8\n")
    with pytest.raises(InputError, match=r"line 2, column 'x' holds"):
        read_cells_table(path, ["MCF7"])

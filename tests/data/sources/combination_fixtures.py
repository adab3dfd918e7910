"""Small combination screens in the official layouts, and reading them to plain rows."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.sources.screen import ScreenRequest, prepare_screen
from combo_lightning.data.sources.screen_entities import EntityFiles
from combo_lightning.data.sources.screen_formats import screen_formats
from combo_lightning.data.sources.well_units import WellMeasure
from scripts.bench.drugcomb import COLUMNS
from tests.data.sources.fuzz import Table

NO_FILES = EntityFiles([], None, {}, None, ())


def prepare(path: Path, response: str, wells: WellMeasure | None = None) -> ScreenDataset:
    """Prepare a screen beside its file."""
    request = ScreenRequest(path, response, NO_FILES)
    target = Target(path.parent / "out", {}, overwrite=True)
    return read_dataset(prepare_screen(request, screen_formats(wells), target))


def rows_of(dataset: ScreenDataset, digits: int = 3) -> list[tuple[Any, ...]]:
    """Give the rows as line, drugs, doses where there are, response; sorted."""
    responses = dataset.responses
    ids = [*dataset.drugs.ids, None]
    doses = responses.log10_molar_NK
    rows = []
    for i, (cell, drugs) in enumerate(zip(responses.cell_N, responses.drug_NK, strict=True)):
        row = [dataset.cells.ids[cell], *(ids[d] for d in drugs)]
        if doses is not None:
            row += [round(float(x), digits) if x == x else None for x in doses[i]]
        rows.append((*row, round(float(responses.response_N[i]), digits)))
    return sorted(rows, key=str)


@cache
def plain_rows(content: bytes, response: str) -> list[tuple[Any, ...]]:
    """Give the rows of a plain file, which all ways of writing it are compared with."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plain.csv"
        path.write_bytes(content)
        return rows_of(prepare(path, response))


# What wells of two drugs read: percent inhibition at doses of 0, 1, 10, 1000 nM each.
DOSES = ("0", "1.5", "10", "1000")
INHIBITION = (
    ("-1.25", "5.5", "20", "60"),
    ("4", "12", "30", "66.5"),
    ("30", "38", "55", "80"),
    ("70", "75", "81", "92.125"),
)


def dose_table() -> Table:
    """The long table as SynergyFinder's example has it."""
    header = ["block_id", "drug1", "drug2", "cell_line_name", "conc1", "conc2", "response"]
    rows = [
        ["1", "MK-1775", "Niraparib", "OCUBM", a, b, INHIBITION[i][j], "nM"]
        for i, a in enumerate(DOSES)
        for j, b in enumerate(DOSES)
    ]
    required = ["block_id", "drug1", "drug2", "conc1", "conc2", "response", "conc_unit"]
    return Table([*header, "conc_unit"], rows, ["conc1", "conc2", "response"], required)


def dose_sheet(corner: str = "", **changes: str) -> str:
    """One block as SynergyFinder's sheet has it, the first drug's doses falling."""
    head = {"Drug1": "MK-1775", "Drug2": "Niraparib", "Cell": "OCUBM", "ConcUnit": "nM"} | changes
    lines = [f"{key}:,{value}" for key, value in head.items() if value]
    lines.append(",".join([corner, *DOSES]) if corner != "none" else ",".join(DOSES))
    rows = [",".join([dose, *row]) for dose, row in zip(DOSES, INHIBITION, strict=True)]
    return "\n".join([*lines, *rows[::-1]]) + "\n"


DRUGCOMB_ROWS = (
    "1,5-FU,ABT-888,A2058,ONEIL,skin,uM,uM,1234.5,0.5,7.1,3.2,11.5,9.25,20.5,-1.5,2.25,-3.75,"
    "3.865915,-6.25,5.536903,6.256584,4,3,TYMS,PARP1; PARP2",
    "3,ABT-888,\\N,MDAMB436,NCATS,breast,nM,\\N,250,\\N,3.5,\\N,11.5,\\N,\\N,\\N,\\N,\\N,"
    "\\N,\\N,\\N,\\N,3,\\N,PARP1,\\N",
    "2,5-FU,ABT-888,A2058,ONEIL,skin,uM,uM,2.5,0.75,7.1,3.2,11.5,9.25,21.5,-1.5,2.25,-3.75,"
    "-1.25,-6.25,5.5,6.25,4,3,TYMS,PARP1; PARP2",
)


def drugcomb_table() -> Table:
    """DrugComb's summary: all in quotes but what is missing."""
    rows = [row.split(",") for row in DRUGCOMB_ROWS]
    return Table(
        COLUMNS, rows, ["synergy_zip"], ["drug_row", "drug_col", "cell_line_name", "synergy_zip"],
        quoting=1, missing="\\N",
    )  # fmt: skip


SINGLE_HEADER = [
    "BatchID", "cell_line", "drug_name", "Drug_concentration (µM)",
    *(f"viability{i}" for i in range(1, 7)), "mu/muMax", "X/X0",
]  # fmt: skip
PAIR_HEADER = [
    "BatchID", "cell_line", "drugA_name", "drugA Conc (µM)", "drugB_name", "drugB Conc (µM)",
    "combination_name", *(f"viability{i}" for i in range(1, 5)), "mu/muMax", "X/X0",
]  # fmt: skip


def oneil_rows() -> tuple[list[list[str]], list[list[str]]]:
    """Single agents and combinations of two drugs that do not interact (Bliss), without noise."""

    def left(dose: float, ec50: float) -> float:
        return 1 / (1 + dose / ec50)

    singles = [
        ["1", "A2058", drug, f"{dose:g}", *[f"{left(dose, ec50):.6f}"] * 4, "NULL", "NULL",
         "0.9", "4"]
        for drug, ec50 in (("5-FU", 1.0), ("MK-8669", 0.5))
        for dose in (0.03, 0.1, 0.3, 1, 3, 10)
    ]  # fmt: skip
    pairs = [
        ["1", "A2058", "5-FU", f"{a:g}", "MK-8669", f"{b:g}", "5-FU & MK-8669",
         *[f"{left(a, 1.0) * left(b, 0.5):.6f}"] * 4, "0.8", "3"]
        for a in (0.2, 0.7, 2, 7)
        for b in (0.2, 0.7, 2, 7)
    ]  # fmt: skip
    return singles, pairs


def write_oneil(folder: Path) -> Path:
    """Write both tables as CSV."""
    folder.mkdir()
    singles, pairs = oneil_rows()
    for name, header, rows in (
        ("single.csv", SINGLE_HEADER, singles), ("combination.csv", PAIR_HEADER, pairs),
    ):  # fmt: skip
        text = "\n".join(",".join(row) for row in [header, *rows]) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
    return folder

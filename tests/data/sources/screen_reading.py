"""Preparing a screen's file, and what is in the data set then."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.sources.screen import ScreenRequest, prepare_screen
from combo_lightning.data.sources.screen_entities import EntityFiles
from combo_lightning.data.sources.screen_formats import FORMATS
from tests.data.sources.fuzz import Table


def prepare(path: Path, response: str, chemistry: Sequence[str] = ()) -> ScreenDataset:
    """Prepare a screen's file beside it."""
    files = EntityFiles([], None, {}, None, chemistry)
    out = path.parent / f"{path.name} prepared"
    request = ScreenRequest(path, response, files)
    return read_dataset(prepare_screen(request, FORMATS, Target(out, overwrite=True)))


def prepare_table(table: Table, folder: Path, response: str, name: str = "x.csv") -> ScreenDataset:
    """Write a table and prepare it."""
    path = folder / name
    path.write_bytes(table.content())
    return prepare(path, response)


def edited(table: Table, row: int, **fields: str) -> Table:
    """Give a table with some fields of a row changed."""
    rows = [list(fields_) for fields_ in table.rows]
    for name, text in fields.items():
        rows[row][list(table.header).index(name)] = text
    return Table(table.header, rows, table.numbers, table.required, table.delimiter, table.suffix)


def contents(dataset: ScreenDataset) -> tuple[Any, ...]:
    """Give all that a reader of a screen decides."""
    rows = dataset.responses
    doses = rows.log10_molar_NK
    return (
        dataset.cells.ids,
        dataset.cells.annotation("tissue"),
        dataset.cells.synonyms(),
        dataset.drugs.ids,
        dataset.drugs.synonyms(),
        rows.cell_N.tolist(),
        rows.drug_NK.tolist(),
        rows.response_N.tolist(),
        None if doses is None else doses.tolist(),
    )


def notes(dataset: ScreenDataset) -> dict[str, int]:
    found: dict[str, int] = dataset.manifest["made_by"]["notes"]
    return {note: count for note, count in found.items() if count}


def dropped(dataset: ScreenDataset) -> dict[str, int]:
    found: dict[str, int] = dataset.manifest["made_by"]["dropped"]
    return found

"""The user's own tables: responses long or as a matrix, cell lines and drugs with their features.

Responses are read in a stream, whatever their number: no Python runs per measurement.

Shapes: R rows of the file, N measurements, L cell lines of a matrix.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.dataset import SourceFile, kind_named
from combo_lightning.data.dataset_writer import DatasetWriter
from combo_lightning.data.duplicates import merge_duplicates
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.names import JoinReport
from combo_lightning.data.schema import dose_columns, drug_columns
from combo_lightning.data.sources.columns import UserTable, texts
from combo_lightning.data.sources.drug_tables import read_drug_tables
from combo_lightning.data.sources.table_entities import names_only, read_cells_table
from combo_lightning.data.sources.table_layout import DOSE_UNITS, Layout, TableMapping, lay_out
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]

OPTION = "--responses"
# Rows of a matrix are read so many measurements at a time.
_MEASUREMENTS = 1 << 18


@dataclass(frozen=True)
class EntityTables:
    """What describes cell lines and drugs.

    Args:
        cells: Table of cell lines; None: nothing describes them.
        drugs: Files of drugs; empty: nothing describes them.
        chemistry: Kinds of features to compute from SMILES.
        merge_duplicates: Make drugs of one InChIKey one drug.
    """

    cells: Path | None
    drugs: Sequence[Path]
    chemistry: Sequence[str]
    merge_duplicates: bool = False


def read_responses(table: UserTable, layout: Layout, dropped: Counter[str]) -> Iterator[Any]:
    """Read responses into the data set's columns, a batch at a time.

    Args:
        table: The table.
        layout: Its columns.
        dropped: Counts of dropped rows by reason; added to.

    Yields:
        Arrow tables with columns of `data.schema.response_schema`.

    Raises:
        InputError: If a value is not what it must be.
    """
    step = max(1, _MEASUREMENTS // len(layout.responses))
    row = 0
    for batch in table.batches(layout.columns()):
        for start in range(0, len(batch), step):
            yield _measurements(table, layout, batch.slice(start, step), row + start, dropped)
        row += len(batch)


def _measurements(
    table: UserTable, layout: Layout, batch: Any, first_row: int, dropped: Counter[str]
) -> Any:
    """Turn a batch of rows into measurements, and drop what none is."""
    lines = len(layout.responses)
    response_RL = np.stack(
        [table.numbers(batch.column(name), name, first_row) for name in layout.responses], axis=1
    )
    missing_N = np.isnan(response_RL).ravel()
    given_R = np.asarray((~np.isnan(response_RL)).any(axis=1))
    treatment = _treatment(table, layout, batch, first_row, given_R)
    if layout.cell is None:
        cells = pa.array(layout.responses).take(pa.array(np.tile(np.arange(lines), len(batch))))
    else:
        cells = texts(batch.column(layout.cell))
    treated_R = np.logical_or.reduce([_present(drug) for drug in treatment[: len(layout.drugs)]])
    nowhere_N = ~(np.repeat(treated_R, lines) & _present(cells))
    dropped["missing response"] += int(missing_N.sum())
    dropped["no cell line or drug"] += int((nowhere_N & ~missing_N).sum())
    kept_N = np.flatnonzero(~missing_N & ~nowhere_N)
    row_N = pa.array(kept_N // lines)
    names = [*drug_columns(len(layout.drugs)), *dose_columns(len(layout.doses))]
    columns = {
        "cell_id": cells.take(pa.array(kept_N)),
        "response": response_RL.ravel()[kept_N],
        **{n: c.take(row_N) for n, c in zip(names, treatment, strict=True)},
    }
    if layout.weight is not None:
        weight_R = _weights(table, layout.weight, batch, first_row, given_R)
        columns["weight"] = weight_R[kept_N // lines]
    if layout.study is not None:
        columns["study"] = texts(batch.column(layout.study)).take(row_N)
    return pa.table(columns)


def _present(column: Any) -> npt.NDArray[np.bool_]:
    present: npt.NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    return present


def _treatment(
    table: UserTable,
    layout: Layout,
    batch: Any,
    first_row: int,
    given_R: npt.NDArray[np.bool_],
) -> list[Any]:
    """Read drugs, then doses as log10 molar; a dose of 0 is a drug that was not given.

    Raises:
        InputError: If, in a row with a response, a dose is negative or missing or stands without
            its drug.
    """
    drugs = [texts(batch.column(name)) for name in layout.drugs]
    doses = []
    shift = DOSE_UNITS[layout.unit]
    for k, (name, drug) in enumerate(zip(layout.doses, layout.drugs, strict=False)):
        column = batch.column(name)
        dose_R = table.numbers(column, name, first_row)
        if shift is not None:
            expected = f"a dose in {layout.unit} must be 0 or more (or say --dose_unit log10M)"
            table.refuse(given_R & (dose_R < 0), column, name, first_row, expected)
            none = pa.scalar(None, pa.string())
            drugs[k] = pc.if_else(pa.array(dose_R == 0), none, drugs[k])
            dose_R = np.log10(np.where(dose_R > 0, dose_R, np.nan)) + shift
        missing_R, named_R = np.isnan(dose_R), _present(drugs[k])
        expected = f"'{drug}' names a drug there: give its dose"
        table.refuse(given_R & named_R & missing_R, column, name, first_row, expected)
        expected = f"'{drug}' names no drug there: give the drug, or no dose"
        table.refuse(given_R & ~named_R & ~missing_R, column, name, first_row, expected)
        doses.append(pa.array(dose_R, from_pandas=True))
    return [*drugs, *doses]


def _weights(
    table: UserTable, name: str, batch: Any, first_row: int, given_R: npt.NDArray[np.bool_]
) -> Floats:
    column = batch.column(name)
    weight_R = table.numbers(column, name, first_row)
    table.refuse(given_R & ~(weight_R >= 0), column, name, first_row, "a weight must be 0 or more")
    return weight_R


def _drugs(entities: EntityTables, wanted: Sequence[str]) -> tuple[Entities, JoinReport | None]:
    if entities.drugs:
        return read_drug_tables(entities.drugs, wanted, entities.chemistry)
    logger.info("no --drugs file: the drugs have no features")
    return build_entities("drug", wanted, names_only(wanted), []), None


def prepare_table(
    responses: Path,
    response: str,
    mapping: TableMapping,
    entities: EntityTables,
    out: Path,
    made_by: dict[str, Any],
    *,
    overwrite: bool = False,
) -> Path:
    """Turn the user's own tables into a data set.

    Args:
        responses: The table of responses.
        response: What was measured, a name of `schema.RESPONSE_KINDS`.
        mapping: Which column is what.
        entities: The tables of cell lines and drugs.
        out: The data set to make.
        made_by: The command, for the manifest.
        overwrite: Replace a data set that is there.

    Returns:
        The data set's directory.

    Raises:
        InputError: If a table does not fit.
    """
    kind = kind_named(response)
    table = UserTable.open(responses, OPTION)
    dropped: Counter[str] = Counter()
    layout = lay_out(table, mapping, kind)
    slots = drug_columns(len(layout.drugs))
    seen: dict[str, dict[str, None]] = {"cell": {}, "drug": {}}
    with DatasetWriter(out, kind, len(slots), overwrite=overwrite) as writer:
        for rows in read_responses(table, layout, dropped):
            writer.append(rows)
            for entity, names in (("cell", ["cell_id"]), ("drug", slots)):
                for name in names:
                    distinct = pc.unique(rows.column(name)).to_pylist()
                    seen[entity] |= dict.fromkeys(d for d in distinct if d is not None)
        if not seen["cell"]:
            raise InputError(
                f"{table.where} has no row with a cell line, a drug and a response; dropped were "
                + (", ".join(f"{n} ({reason})" for reason, n in dropped.items()) or "none")
            )
        cells, cell_report = read_cells_table(entities.cells, list(seen["cell"]))
        drugs, drug_report = _drugs(entities, list(seen["drug"]))
        if entities.merge_duplicates:
            drugs = merge_duplicates(writer, drugs)
        reports = [report for report in (cell_report, drug_report) if report is not None]
        for report in reports:
            logger.info("%s", "\n".join(report.lines()))
        for reason, count in dropped.items():
            if count:
                logger.info("dropped %d: %s", count, reason)
        files = [f for f in (responses, entities.cells, *entities.drugs) if f is not None]
        stated = {"dropped": dict(dropped), "joins": [report.to_plain() for report in reports]}
        sources = [SourceFile.of(file) for file in files]
        return writer.finish(cells, drugs, sources, made_by | stated)

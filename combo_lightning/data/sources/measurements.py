"""From a table of responses, long or as a matrix, to the data set's columns, in a stream.

No Python runs per measurement.

Shapes: R rows of the file, N measurements, L cell lines of a matrix.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.schema import dose_columns, drug_columns
from combo_lightning.data.sources.columns import UserTable, texts
from combo_lightning.data.sources.table_layout import Layout
from combo_lightning.data.units import CONCENTRATION_UNITS, to_log10_molar

Floats = npt.NDArray[np.float64]

# Rows of a matrix are read so many measurements at a time.
_MEASUREMENTS = 1 << 18


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
            yield measurements(table, layout, batch.slice(start, step), row + start, dropped)
        row += len(batch)


def measurements(
    table: UserTable, layout: Layout, batch: Any, first_row: int, dropped: Counter[str]
) -> Any:
    """Turn a batch of rows into measurements, and drop what none is.

    Args:
        table: The table.
        layout: Its columns.
        batch: Rows of them.
        first_row: Number of the first, for messages.
        dropped: Counts of dropped rows by reason; added to.

    Returns:
        An Arrow table with columns of `data.schema.response_schema`, and those that
        `data.plausibility` reads.

    Raises:
        InputError: If a value is not what it must be.
    """
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
    if layout.plate is not None:
        columns["plate"] = texts(batch.column(layout.plate)).take(row_N)
    columns["place"] = kept_N // lines + first_row + 1 + table.skip
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
    unit = CONCENTRATION_UNITS[layout.unit]
    for k, (name, drug) in enumerate(zip(layout.doses, layout.drugs, strict=False)):
        column = batch.column(name)
        dose_R = table.numbers(column, name, first_row)
        if unit.log_base is None:
            expected = f"a dose in {layout.unit} must be 0 or more (or say --dose_unit log10M)"
            table.refuse(given_R & (dose_R < 0), column, name, first_row, expected)
            none = pa.scalar(None, pa.string())
            drugs[k] = pc.if_else(pa.array(dose_R == 0), none, drugs[k])
            dose_R = np.where(dose_R > 0, dose_R, np.nan)
        dose_R = to_log10_molar(dose_R, unit)
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

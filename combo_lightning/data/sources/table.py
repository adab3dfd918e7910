"""The user's own tables: responses long or as a matrix, cell lines and drugs with their features.

Responses are read in a stream, whatever their number.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.dataset import SourceFile, kind_named
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.duplicates import merge_duplicates
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.names import JoinReport
from combo_lightning.data.schema import ResponseKind, drug_columns
from combo_lightning.data.sources.columns import UserTable
from combo_lightning.data.sources.drug_tables import read_drug_tables
from combo_lightning.data.sources.measurements import read_responses
from combo_lightning.data.sources.table_entities import names_only, read_cells_table
from combo_lightning.data.sources.table_layout import TableMapping, lay_out
from combo_lightning.data.units import response_converter
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

OPTION = "--responses"


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


def _drugs(entities: EntityTables, wanted: Sequence[str]) -> tuple[Entities, JoinReport | None]:
    if entities.drugs:
        return read_drug_tables(entities.drugs, wanted, entities.chemistry)
    logger.info("no --drugs file: the drugs have no features")
    return build_entities("drug", wanted, names_only(wanted), []), None


def _converted(
    batches: Iterator[Any], table: UserTable, unit: str | None, kind: ResponseKind
) -> Iterator[Any]:
    """Convert responses from the unit that the user or their column named.

    Raises:
        InputError: If the kind has no such unit, or a value cannot be converted.
    """
    convert = None if unit is None else response_converter(kind, unit, "--response_unit")
    for rows in batches:
        if convert is None:
            yield rows
            continue
        given_N = rows.column("response").to_numpy()
        values_N = convert(given_N)
        bad = np.flatnonzero(~np.isfinite(values_N))
        if bad.size:
            place = rows.column("place")[int(bad[0])].as_py()
            raise InputError(
                f"{table.where}, line {place}: the {kind.name} of {given_N[bad[0]]:g} {unit} "
                f"cannot be converted to {kind.unit}; it must be above 0, or leave it empty"
            )
        index = rows.schema.get_field_index("response")
        yield rows.set_column(index, "response", pa.array(values_N))


def prepare_table(
    responses: Path,
    response: str,
    mapping: TableMapping,
    entities: EntityTables,
    target: Target,
) -> Path:
    """Turn the user's own tables into a data set.

    Args:
        responses: The table of responses.
        response: What was measured, a name of `schema.RESPONSE_KINDS`.
        mapping: Which column is what.
        entities: The tables of cell lines and drugs.
        target: The data set to make.

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
    with target.writer(kind, len(slots)) as writer:
        read = read_responses(table, layout, dropped)
        for rows in _converted(read, table, layout.response_unit, kind):
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
        return writer.finish(cells, drugs, sources, {**target.made_by, **stated})

"""The user's own tables: responses long or as a matrix, cell lines and drugs with their features.

Columns are named by options, or guessed by their names; every guess is logged. Responses may be
CSV, TSV or Parquet, gzip or plain.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from combo_lightning.data.dataset import SourceFile, kind_named
from combo_lightning.data.dataset_writer import DatasetWriter
from combo_lightning.data.schema import dose_columns, drug_columns
from combo_lightning.data.sources.columns import GUESSES, find_column, numbers, read_table
from combo_lightning.data.sources.table_entities import read_entities_table
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)

# Names of the columns of slot k.
_DRUG = ("drug{k}", "nsc{k}", "compound{k}", "drug{row}", "drug{letter}")
_DOSE = ("log10molar{k}", "dose{k}", "conc{k}", "concentration{k}", "conc{row}", "dose{letter}")
_SINGLE_DRUG = ("drug", "drugid", "drugname", "compound", "nsc")
# How much log10 molar a dose in each unit lies from its own log10.
DOSE_UNITS = {"M": 0.0, "mM": -3.0, "uM": -6.0, "nM": -9.0}


@dataclass(frozen=True)
class TableMapping:
    """Which column is what; None: guess by name.

    Args:
        cell: Column of the cell line.
        drugs: Columns of the drugs, slot by slot.
        doses: Columns of their doses.
        response: Column of the response.
        matrix: Responses stand as a matrix: a row a combination, a column a cell line.
        dose_unit: "M", "mM", "uM", "nM", or "log10M".
    """

    cell: str | None = None
    drugs: Sequence[str] | None = None
    doses: Sequence[str] | None = None
    response: str | None = None
    matrix: bool = False
    dose_unit: str = "uM"


def _guess_slots(frame: pd.DataFrame, patterns: Sequence[str], where: str, role: str) -> list[str]:
    found: list[str] = []
    for k in range(1, 9):
        letter = "ab"[k - 1] if k <= 2 else "?"
        row = ("row", "col")[k - 1] if k <= 2 else "?"
        guesses = [p.format(k=k, letter=letter, row=row) for p in patterns]
        column = find_column(frame, None, guesses, f"{role} {k}", where)
        if column is None:
            break
        found.append(column)
    return found


def read_responses(
    path: Path, mapping: TableMapping, *, per_dose: bool
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read responses into the data set's columns.

    Args:
        path: The table.
        mapping: Which column is what.
        per_dose: Whether each row has doses.

    Returns:
        Columns of `data.schema.response_schema`, and counts of dropped rows by reason.

    Raises:
        InputError: If a column is missing or a value is not what it must be.
    """
    frame, where = read_table(path, "--responses"), f"--responses: {path}"
    drugs = list(mapping.drugs or []) or _guess_slots(frame, _DRUG, where, "drug")
    if not drugs:
        single = find_column(frame, None, _SINGLE_DRUG, "drug", where)
        drugs = [single] if single else []
    for name in drugs:
        find_column(frame, name, (), "drug", where)
    if not drugs:
        raise InputError(_no_column(where, "drug_1", "--drug_columns", frame))
    if mapping.matrix:
        frame, cell, response = _melt(frame, drugs)
    else:
        found = find_column(frame, mapping.cell, GUESSES["cell"], "cell line", where)
        if found is None:
            raise InputError(_no_column(where, "cell_id", "--cell_column", frame))
        cell = found
        found = find_column(frame, mapping.response, GUESSES["response"], "response", where)
        if found is None:
            raise InputError(_no_column(where, "response", "--response_column", frame))
        response = found
    columns: dict[str, Any] = {"cell_id": frame[cell], "response": numbers(frame, response, where)}
    for name, column in zip(drug_columns(len(drugs)), drugs, strict=True):
        columns[name] = frame[column]
    if per_dose:
        columns |= _doses(frame, mapping, len(drugs), where)
    for role in ("weight", "study"):
        extra = find_column(frame, None, GUESSES[role], role, where)
        if extra is not None and extra not in (cell, response, *drugs):
            columns[role] = numbers(frame, extra, where) if role == "weight" else frame[extra]
    rows = pd.DataFrame(columns).reset_index(drop=True)
    missing = rows["response"].isna()
    nowhere = (rows["cell_id"].isna() | rows["drug_1"].isna()) & ~missing
    kept = rows[~(missing | nowhere)].reset_index(drop=True)
    if kept.empty:
        raise InputError(f"{where} has no row with a cell line, a drug and a response")
    text = ["cell_id", *drug_columns(len(drugs))]
    kept[text] = kept[text].astype(object).where(kept[text].notna(), None)
    for name in text:
        kept[name] = kept[name].map(lambda value: None if value is None else str(value))
    dropped = {"missing response": int(missing.sum()), "no cell line or drug": int(nowhere.sum())}
    return kept, dropped


def _no_column(where: str, wanted: str, option: str, frame: pd.DataFrame) -> str:
    names = [str(column) for column in frame.columns]
    return (
        f"{where} has no column that reads as '{wanted}'{did_you_mean(wanted, names)}; it has "
        f"{', '.join(names[:10])}: name it with {option}"
    )


def _melt(frame: pd.DataFrame, drugs: list[str]) -> tuple[pd.DataFrame, str, str]:
    lines = [column for column in frame.columns if column not in drugs]
    logger.info("matrix of %d combinations and %d cell lines", len(frame), len(lines))
    long = frame.melt(drugs, lines, "cell_id", "response", ignore_index=False)
    return long.sort_index(kind="stable"), "cell_id", "response"


def _doses(
    frame: pd.DataFrame, mapping: TableMapping, slots: int, where: str
) -> dict[str, npt.NDArray[np.float64]]:
    names = list(mapping.doses or []) or _guess_slots(frame, _DOSE, where, "dose")
    if len(names) != slots:
        raise InputError(
            f"{where} has {slots} drug columns and {len(names)} dose columns ({names}); name one "
            "dose column a drug with --dose_columns"
        )
    columns = {}
    for slot, name in zip(dose_columns(slots), names, strict=True):
        values = numbers(frame, find_column(frame, name, (), "dose", where) or name, where)
        if mapping.dose_unit != "log10M":
            bad = np.flatnonzero(values <= 0)
            if bad.size:
                raise InputError(
                    f"{where}, row {int(bad[0]) + 1}, column '{name}' is {values[bad[0]]}; a dose "
                    f"in {mapping.dose_unit} must be above 0 (leave drug and dose empty where "
                    "there is none, or say --dose_unit log10M)"
                )
            values = np.log10(values) + DOSE_UNITS[mapping.dose_unit]
        columns[slot] = values
    return columns


def prepare_table(
    responses: Path,
    response: str,
    mapping: TableMapping,
    entities: Mapping[str, Path | None],
    chemistry: Sequence[str],
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
        entities: "cell" and "drug": their tables, or None.
        chemistry: Kinds of features to compute from SMILES.
        out: The data set to make.
        made_by: The command, for the manifest.
        overwrite: Replace a data set that is there.

    Returns:
        The data set's directory.

    Raises:
        InputError: If a table does not fit.
    """
    kind = kind_named(response)
    rows, dropped = read_responses(responses, mapping, per_dose=kind.per_dose)
    slots = [name for name in rows.columns if name.startswith("drug_")]
    cell_ids = list(dict.fromkeys(rows["cell_id"]))
    drug_ids = list(dict.fromkeys(d for s in slots for d in rows[s] if d is not None))
    with DatasetWriter(out, kind, len(slots), overwrite=overwrite) as writer:
        cells, cell_report = read_entities_table(entities["cell"], "cell", cell_ids, ())
        drugs, drug_report = read_entities_table(entities["drug"], "drug", drug_ids, chemistry)
        reports = [report for report in (cell_report, drug_report) if report is not None]
        for report in reports:
            logger.info("%s", "\n".join(report.lines()))
        for reason, count in dropped.items():
            if count:
                logger.info("dropped %d rows: %s", count, reason)
        writer.append(rows)
        files = [responses, *(path for path in entities.values() if path is not None)]
        stated = {"dropped": dropped, "joins": [report.to_plain() for report in reports]}
        sources = [SourceFile.of(file) for file in files]
        return writer.finish(cells, drugs, sources, made_by | stated)

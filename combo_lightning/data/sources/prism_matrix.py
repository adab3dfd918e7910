"""PRISM repurposing, log-fold changes: ``*-screen-replicate-collapsed-logfold-change.csv``.

One row a line, one column a treatment, named ``BRD-K70401845-003-09-6::2.5::HTS``: compound, dose
in micromolar, screen, and in the secondary screen the plate. Values are log2 of the ratio of cells
with the drug to those without. The table of treatments, found beside it by its columns or not at
all, gives the compounds' names and structures. Source: DepMap; code that reads and that made them.

Shapes: R rows of a batch, T treatments.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.columns import true_rows
from combo_lightning.data.sources.columns import UserTable, texts
from combo_lightning.data.sources.screen import OPTION, ScreenSource
from combo_lightning.data.sources.screen_facts import SeenDrugs, SeenLines
from combo_lightning.data.sources.screen_file import (
    find_column,
    header_of,
    needed_columns,
    open_table,
)
from combo_lightning.errors import InputError

NAME = "PRISM log-fold changes"
_TREATMENT = re.compile(
    r"(?P<drug>BRD-\w+(?:-\w+)*)::(?P<dose>[\d.eE+-]+)::(?P<screen>[^:]+)(?:::.*)?"
)
_LINE = r"(?P<line>ACH-\d{6})"
_TREATMENTS = ("column_name", "broad_id", "name", "smiles")
# So many files of a folder are looked at for the table of treatments.
_MOST = 200


@dataclass(frozen=True)
class Treatments:
    """The columns of a matrix.

    Args:
        columns: T columns.
        drugs: The compound of each.
        log10_molar_T: The dose of each.
        screens: The screen of each.
        facts: What is known of the compounds, by role, a column each.
    """

    columns: Sequence[str]
    drugs: Any
    log10_molar_T: npt.NDArray[np.float64]
    screens: Any
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, table: UserTable, described: UserTable | None) -> "Treatments":
        """Read the names of the columns, and what the table of treatments tells of them.

        Raises:
            InputError: If the dose of a column is not above 0.
        """
        found = {name: match for name in table.columns if (match := _TREATMENT.fullmatch(name))}
        doses = np.array([_number(match["dose"]) for match in found.values()])
        for name, dose in zip(found, doses, strict=True):
            if not dose > 0:
                raise InputError(f"{table.where}: the dose of column '{name}' is not above 0")
        drugs = pa.array([match["drug"] for match in found.values()])
        facts: dict[str, Any] = {"synonyms": drugs}
        if described is not None:
            known = described.read()
            keys = texts(known.column(needed_columns(described, _TREATMENTS[:1])[0]))
            place = pc.index_in(pa.array(list(found)), value_set=keys)

            def told(column: str) -> Any:
                own = find_column(described, (column,))
                return None if own is None else texts(known.column(own)).take(place)

            drugs = pc.coalesce(told("name"), drugs)
            first = pc.replace_substring_regex(told("smiles"), r"^([^,]*\S)\s*,.*$", r"\1")
            facts |= {"smiles": first}
            if told("moa") is not None:
                facts["mechanism"] = told("moa")
        screens = pa.array([match["screen"] for match in found.values()])
        return cls(list(found), drugs, np.log10(doses) - 6, screens, facts)


class PrismMatrix:
    """The layout of the log-fold changes."""

    name = NAME
    responses: Sequence[str] = ("viability",)

    def recognises(self, path: Path, option: str) -> bool:
        """Tell from a file's header: all columns but one are treatments."""
        columns = header_of(path, option)
        treatments = sum(_TREATMENT.fullmatch(name) is not None for name in columns)
        return treatments > 0 and treatments == len(columns) - 1

    def open(self, path: Path, response: str) -> ScreenSource:
        """Open a file, and find the table of treatments beside it.

        Raises:
            InputError: If it is damaged.
        """
        table = open_table(path, OPTION)
        beside = _described(path)
        described = None if beside is None else open_table(beside, OPTION)
        return PrismMatrixSource(
            num_slots=1,
            lines=SeenLines(),
            drugs=SeenDrugs(path, OPTION, NAME),
            files=[path] if beside is None else [path, beside],
            table=table,
            treatments=Treatments.of(table, described),
        )


@dataclass(kw_only=True)
class PrismMatrixSource(ScreenSource):
    """A matrix that is being read.

    Args:
        table: The file.
        treatments: Its columns.
    """

    table: UserTable
    treatments: Treatments

    def rows(self) -> Iterator[Any]:
        """Read the rows, a batch at a time; see `ScreenSource`."""
        (line_column,) = set(self.table.columns) - set(self.treatments.columns)
        first_row = 0
        for batch in self.table.batches():
            yield self._rows_of(batch, texts(batch.column(line_column)), first_row)
            first_row += len(batch)

    def _rows_of(self, batch: Any, named: Any, first_row: int) -> Any:
        """Turn a batch into measurements, and drop what none is."""
        change_RT = np.stack(
            [
                self.table.numbers(batch.column(name), name, first_row)
                for name in self.treatments.columns
            ],
            axis=1,
        )
        line = pc.struct_field(pc.extract_regex(named, _LINE), "line")
        failed_R = true_rows(pc.match_substring(named, "FAILED"))
        given_RT = ~np.isnan(change_RT)
        self.dropped["missing response"] += int((~given_RT).sum())
        for reason, bad_R in (
            ("the line did not pass STR profiling", failed_R),
            ("no cell line", true_rows(pc.is_null(line))),
        ):
            self.dropped[reason] += int(given_RT[bad_R].sum())
            given_RT[bad_R] = False
        row_N, treatment_N = (pa.array(index) for index in np.nonzero(given_RT))
        drug = self.treatments.drugs.take(treatment_N)
        self.lines.add(line.take(row_N))
        self.drugs.add(
            drug, {role: c.take(treatment_N) for role, c in self.treatments.facts.items()}
        )
        dose_N = self.treatments.log10_molar_T[treatment_N.to_numpy()]
        return pa.table(
            {
                "cell_id": line.take(row_N),
                "drug_1": drug,
                "log10_molar_1": pa.array(dose_N),
                "response": pa.array(100 * np.exp2(change_RT[given_RT])),
                "study": self.treatments.screens.take(treatment_N),
            }
        )


def _described(path: Path) -> Path | None:
    """Find the table of treatments beside a matrix, of which it describes some columns."""
    wanted = set(header_of(path, OPTION))
    for file in [p for p in sorted(path.parent.iterdir()) if p.is_file() and p != path][:_MOST]:
        columns = header_of(file, OPTION)
        if all(name in columns for name in _TREATMENTS):
            table = open_table(file, OPTION)
            (named,) = needed_columns(table, _TREATMENTS[:1])
            if any(
                wanted & set(texts(b.column(named)).to_pylist()) for b in table.batches([named])
            ):
                return file
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan

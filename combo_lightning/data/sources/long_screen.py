"""Public screens of one row a measurement: a format is a declaration of its columns.

Shapes: R rows of a batch, N measurements.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.sources.columns import UserTable, plain, texts
from combo_lightning.data.sources.measurements import measurements
from combo_lightning.data.sources.screen import OPTION, ScreenSource
from combo_lightning.data.sources.screen_facts import SeenDrugs, SeenLines
from combo_lightning.data.sources.screen_file import find_column, header_of, open_table
from combo_lightning.data.sources.table_layout import Layout
from combo_lightning.errors import InputError, did_you_mean

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
# Names that a column goes by in the releases of a format, the best first.
Names = tuple[str, ...]


@dataclass(frozen=True)
class Measure:
    """A response that a format holds.

    Args:
        columns: Its column.
        convert: From the file's unit to that of the response's kind; None: they are the same.
        doses: Columns of the doses, a drug each; empty: not per dose.
        dose_unit: Their unit, a name of `units.CONCENTRATION_UNITS`.
    """

    columns: Names
    convert: Callable[[Floats], Floats] | None = None
    doses: tuple[Names, ...] = ()
    dose_unit: str = "uM"


class Batch:
    """Rows of a file, for the rules of its format.

    Args:
        table: The file.
        rows: An Arrow batch.
        first_row: Number of its first row.
    """

    def __init__(self, table: UserTable, rows: Any, first_row: int) -> None:
        self._table, self._rows, self._first_row = table, rows, first_row

    def text(self, *names: str) -> Any:
        """Give the first of some columns that the file has, as text; None: it has none."""
        column = find_column(self._table, names)
        return None if column is None else texts(self._rows.column(column))

    def refuse(self, bad_R: Mask, name: str, expected: str) -> None:
        """Refuse the first bad value of a column that the file has.

        Raises:
            InputError: If one is bad, with its place and value.
        """
        column = find_column(self._table, (name,))
        if column is not None:
            self._table.refuse(bad_R, self._rows.column(column), column, self._first_row, expected)

    def numbers(self, *names: str) -> Floats | None:
        """Give the first of some columns that the file has, as numbers; None: it has none.

        Raises:
            InputError: With the first value that is no number.
        """
        column = find_column(self._table, names)
        if column is None:
            return None
        return self._table.numbers(self._rows.column(column), column, self._first_row)


@dataclass(frozen=True)
class LongFormat:
    """A format of one row a measurement.

    Args:
        name: What it is called, for people.
        told_by: Columns that every file of it has, and that no other format has together.
        cell: Column of the cell line.
        drugs: Columns of the drugs, a slot each.
        measures: What it holds, by kind of response.
        study: Column of the study.
        study_name: What the study is called where there is no such column; none: as the format.
        tissue: Column of the lines' tissue.
        cell_names: Columns of other names and identifiers of the line.
        drug_facts: For each slot, columns by role, a key of `drug_schema.ROLES`.
        derived: Columns that are made of the file's own: new ones, whose names stand in
            parentheses, and own ones that are written otherwise.
        nsc_only: Whether the drugs are NSC numbers and nothing else.
        unusable: Tells rows that are to be dropped, by reason; a row counts for the first.
        remarks: Tells rows to be counted and kept, by remark, given the response's kind.
        extra: Columns that `derived`, `unusable` and `remarks` read.
    """

    name: str
    told_by: tuple[str, ...]
    cell: Names
    drugs: tuple[Names, ...]
    measures: Mapping[str, Measure]
    study: Names = ()
    study_name: str = ""
    tissue: Names = ()
    cell_names: tuple[str, ...] = ()
    drug_facts: tuple[Mapping[str, Names], ...] = ()
    derived: Mapping[str, Callable[[Batch], Any]] = field(default_factory=dict)
    nsc_only: bool = False
    unusable: Callable[[Batch], Mapping[str, Mask]] | None = None
    remarks: Callable[[Batch, str], Mapping[str, Mask]] | None = None
    extra: tuple[str, ...] = ()

    @property
    def responses(self) -> Sequence[str]:
        """The kinds of response that it holds."""
        return tuple(self.measures)

    def recognises(self, path: Path, option: str) -> bool:
        """Tell from a file's header whether it is of this format."""
        return not self.lacks(path, option)

    def lacks(self, path: Path, option: str) -> list[str]:
        """Name the columns that tell this format and that a file has not."""
        columns = {plain(name) for name in header_of(path, option)}
        return [name for name in self.told_by if plain(name) not in columns]

    def open(self, path: Path, response: str) -> ScreenSource:
        """Open a file, and find the columns that the response needs.

        Raises:
            InputError: If one is missing.
        """
        table = open_table(path, OPTION)
        made = [name for name in self.derived if find_column(table, (name,)) is None]
        view = replace(table, columns=(*table.columns, *made))
        measure = self.measures[response]
        layout = Layout(
            drugs=[self._require(view, names) for names in self.drugs],
            doses=[self._require(view, names) for names in measure.doses],
            unit=measure.dose_unit,
            cell=self._require(view, self.cell),
            responses=[self._require(view, measure.columns)],
            weight=None,
            study=find_column(view, self.study),
        )
        return LongSource(
            num_slots=len(self.drugs),
            lines=SeenLines(),
            drugs=SeenDrugs(path, OPTION, self.name),
            nsc_only=self.nsc_only,
            format=self,
            table=table,
            view=view,
            layout=layout,
            response=response,
        )

    def _require(self, table: UserTable, names: Names) -> str:
        column = find_column(table, names)
        if column is None:
            own = [name for name in table.columns if not name.startswith("(")]
            raise InputError(
                f"{table.where} is {self.name}, but has no column '{names[0]}'"
                f"{did_you_mean(names[0], own)}; it has {', '.join(own)}"
            )
        return column

    def columns(self, table: UserTable) -> list[str]:
        """Name the columns of a file that tell of lines and drugs, and that the rules read."""
        facts = [names for slot in self.drug_facts for names in slot.values()]
        single = [(name,) for name in (*self.cell_names, *self.extra)]
        found = [find_column(table, names) for names in (self.tissue, *facts, *single)]
        return [name for name in found if name is not None]


@dataclass(kw_only=True)
class LongSource(ScreenSource):
    """A file of a `LongFormat` that is being read.

    Args:
        format: Its format.
        table: The file.
        view: The file with the columns that are derived.
        layout: Its columns.
        response: The kind of response to take.
    """

    format: LongFormat
    table: UserTable
    view: UserTable
    layout: Layout
    response: str

    def rows(self) -> Iterator[Any]:
        """Read the rows, a batch at a time; see `ScreenSource`."""
        wanted = dict.fromkeys([*self.layout.columns(), *self.format.columns(self.view)])
        first_row = 0
        for rows in self.table.batches([name for name in wanted if name in self.table.columns]):
            yield self._rows_of(self._with_derived(rows, first_row), first_row)
            first_row += len(rows)

    def _with_derived(self, rows: Any, first_row: int) -> Any:
        """Add the columns that are made of others; one that the file has is replaced."""
        for name, make in self.format.derived.items():
            column = make(Batch(self.view, rows, first_row))
            named = find_column(self.view, (name,)) or name
            place = rows.schema.get_field_index(named)
            if place < 0:
                rows = rows.append_column(named, column)
            else:
                rows = rows.set_column(place, named, column)
        return rows

    def _rows_of(self, rows: Any, first_row: int) -> Any:
        batch = Batch(self.view, rows, first_row)
        rows = self._without_unusable(batch, rows)
        found = measurements(self.view, self.layout, rows, first_row, self.dropped)
        measure = self.format.measures[self.response]
        if measure.convert is not None:
            values_N = measure.convert(found.column("response").to_numpy())
            place = found.schema.get_field_index("response")
            found = found.set_column(place, "response", pa.array(values_N))
        if self.layout.study is None:
            name = self.format.study_name or self.format.name
            study = pa.array([name] * len(found), pa.string())
            found = found.append_column("study", study)
        self._note(batch, rows)
        return found

    def _without_unusable(self, batch: Batch, rows: Any) -> Any:
        """Take the response from rows that are to be dropped, and count them."""
        if self.format.unusable is None:
            return rows
        name = self.layout.responses[0]
        given_R = texts(rows.column(name)).is_valid().to_numpy(zero_copy_only=False)
        for reason, bad_R in self.format.unusable(batch).items():
            bad_R = bad_R & given_R
            given_R &= ~bad_R
            self.dropped[reason] += int(bad_R.sum())
            # They have no response any more, which is counted again below.
            self.dropped["missing response"] -= int(bad_R.sum())
        column = pc.if_else(pa.array(given_R), rows.column(name), None)
        return rows.set_column(rows.schema.get_field_index(name), name, column)

    def _note(self, batch: Batch, rows: Any) -> None:
        """Gather what the rows with a response tell of lines and drugs, and remarks."""
        given = texts(rows.column(self.layout.responses[0])).is_valid()

        def known(*names: str) -> Any:
            column = batch.text(*names)
            return None if column is None else column.filter(given)

        others = [known(name) for name in self.format.cell_names]
        self.lines.add(
            known(*self.format.cell),
            known(*self.format.tissue) if self.format.tissue else None,
            [column for column in others if column is not None],
        )
        slots = self.format.drug_facts or ({},) * len(self.format.drugs)
        for names, facts in zip(self.format.drugs, slots, strict=True):
            columns = {role: known(*named) for role, named in facts.items()}
            told = {role: column for role, column in columns.items() if column is not None}
            self.drugs.add(known(*names), told)
        if self.format.remarks is not None:
            given_R = given.to_numpy(zero_copy_only=False)
            for remark, rows_R in self.format.remarks(batch, self.response).items():
                self.notes[remark] += int((rows_R & given_R).sum())

"""Which column of a user's table of responses is what: as named by options, or guessed by name."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from combo_lightning.data.schema import ResponseKind
from combo_lightning.data.sources.columns import GUESSES, UserTable, plain
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)

# Names of the columns of slot k, as `plain` writes them.
_DRUG = (
    "drug{k}", "nsc{k}", "compound{k}", "drug{k}name", "drugname{k}", "drug{k}id",
    "drug{row}", "drug{letter}", "drug{letter}name",
)  # fmt: skip
_DOSE = (
    "log10molar{k}", "dose{k}", "conc{k}", "concentration{k}", "drug{k}conc", "conc{row}",
    "dose{letter}", "conc{letter}", "drug{letter}conc",
)  # fmt: skip
_SINGLE_DRUG = ("drug", "drugid", "drugname", "compound", "nsc")
_SINGLE_DOSE = ("log10molar", "dose", "conc", "concentration")
_DEFAULT_UNIT = "uM"
# A unit at the end of a column's name, as in "conc_1 (uM)" or "dose_nM".
_UNIT = re.compile(r"(?:^|[^A-Za-z0-9])(log10[ _]?[mM](?:olar)?|[mM]olar|[muUnNµμ]?[mM])\W*$")


@dataclass(frozen=True)
class TableMapping:
    """Which column is what; None: guess by name.

    Args:
        cell: Column of the cell line.
        drugs: Columns of the drugs, slot by slot.
        doses: Columns of their doses.
        response: Column of the response.
        weight: Column of the rows' weights.
        study: Column of the study.
        dose_unit: A name of `units.CONCENTRATION_UNITS`; None: as the dose columns' names end,
            else "uM".
        matrix: Responses stand as a matrix: a row a combination, a column a cell line.
        response_unit: Unit of the responses, see `units.response_converter`; None: their kind's.
    """

    cell: str | None = None
    drugs: Sequence[str] | None = None
    doses: Sequence[str] | None = None
    response: str | None = None
    weight: str | None = None
    study: str | None = None
    dose_unit: str | None = None
    matrix: bool = False
    response_unit: str | None = None


@dataclass(frozen=True)
class Layout:
    """The columns of a table of responses, found.

    Args:
        drugs: Columns of the drugs.
        doses: Columns of their doses; empty: not per dose.
        unit: Unit of the doses.
        cell: Column of the cell line; None: a matrix.
        responses: Column of the response, or those of a matrix, each named after a cell line.
        weight: Column of the weights.
        study: Column of the study.
        plate: Column of the plate, to see whether it drifts.
    """

    drugs: list[str]
    doses: list[str]
    unit: str
    cell: str | None
    responses: list[str]
    weight: str | None
    study: str | None
    plate: str | None = None

    def columns(self) -> list[str]:
        """Name all columns to read, each once."""
        named = [
            *self.drugs,
            *self.doses,
            self.cell,
            *self.responses,
            self.weight,
            self.study,
            self.plate,
        ]
        return list(dict.fromkeys(name for name in named if name is not None))


def lay_out(table: UserTable, mapping: TableMapping, kind: ResponseKind) -> Layout:
    """Find the columns: as named, else by guess.

    Raises:
        InputError: If a column is missing.
    """
    drugs = _slots(table, mapping.drugs, (_DRUG, _SINGLE_DRUG), "drug")
    if not drugs:
        raise InputError(_no_column(table, "drug_1", "--drug_columns"))
    doses = _slots(table, mapping.doses, (_DOSE, _SINGLE_DOSE), "dose") if kind.per_dose else []
    if kind.per_dose and len(doses) != len(drugs):
        raise InputError(
            f"{table.where} has {len(drugs)} drug columns ({', '.join(drugs)}) and {len(doses)} "
            f"dose columns ({', '.join(doses) or 'none'}); a response of kind '{kind.name}' needs "
            "one dose column a drug: name them with --dose_columns"
        )
    extra = {
        role: table.require(named, f"--{role}_column")
        if named
        else table.guess(GUESSES[role], role)
        for role, named in (("weight", mapping.weight), ("study", mapping.study))
    }
    plate = table.guess(GUESSES["plate"], "plate")
    unit = mapping.dose_unit or (_unit_of(table, doses) if doses else _DEFAULT_UNIT)
    if mapping.matrix:
        other = {*drugs, *doses, *extra.values(), plate}
        lines = [column for column in table.columns if column not in other]
        if not lines:
            raise InputError(
                f"{table.where} has no column beside drugs; a matrix needs cell lines"
            )
        logger.info("%s: a matrix of %d cell lines", table.where, len(lines))
        return Layout(drugs, doses, unit, None, lines, extra["weight"], extra["study"], plate)
    cell = (
        table.require(mapping.cell, "--cell_column")
        if mapping.cell
        else table.guess(GUESSES["cell"], "cell line")
    )
    if cell is None:
        hint = " (or, if each column is a cell line, add --matrix true)"
        raise InputError(_no_column(table, "cell_id", "--cell_column") + hint)
    response = (
        table.require(mapping.response, "--response_column")
        if mapping.response
        else table.guess((plain(kind.name), *GUESSES["response"]), "response")
    )
    if response is None:
        raise InputError(_no_column(table, "response", "--response_column"))
    return Layout(drugs, doses, unit, cell, [response], extra["weight"], extra["study"], plate)


def _slots(
    table: UserTable,
    named: Sequence[str] | None,
    patterns: tuple[Sequence[str], Sequence[str]],
    role: str,
) -> list[str]:
    """Find the columns of drugs or doses, slot by slot: as named, numbered, or a single one."""
    if named:
        return [table.require(name, f"--{role}_columns") for name in named]
    found: list[str] = []
    units = ("", "um", "µm", "μm", "nm", "mm", "m", "molar", "log10m", "log10molar")
    tails = units if role == "dose" else ("",)
    for k, (letter, row) in enumerate((("a", "row"), ("b", "col"), *[("?", "?")] * 6), start=1):
        guesses = [p.format(k=k, letter=letter, row=row) + t for p in patterns[0] for t in tails]
        column = table.guess(guesses, f"{role} {k}")
        if column is None:
            break
        found.append(column)
    if not found:
        column = table.guess([p + t for p in patterns[1] for t in tails], role)
        found = [column] if column is not None else []
    return found


def _unit_of(table: UserTable, doses: Sequence[str]) -> str:
    """Tell the unit from the ends of the columns' names.

    Raises:
        InputError: If they disagree.
    """
    units = set()
    for name in doses:
        match = _UNIT.search(name)
        text = match.group(1) if match else ""
        if text.startswith("log10") or plain(name).startswith("log10molar"):
            units.add("log10M")
        elif text:
            prefix = text[0] if len(text) == 2 else ""
            units.add({"µ": "u", "μ": "u", "U": "u", "N": "n"}.get(prefix, prefix) + "M")
    if len(units) > 1:
        raise InputError(
            f"{table.where}: the dose columns ({', '.join(doses)}) seem to be in "
            f"{' and '.join(sorted(units))}; convert them to one unit and name it with --dose_unit"
        )
    unit = units.pop() if units else _DEFAULT_UNIT
    logger.info("%s: taking doses as %s (change it with --dose_unit)", table.where, unit)
    return unit


def _no_column(table: UserTable, wanted: str, option: str) -> str:
    return (
        f"{table.where} has no column that reads as '{wanted}'"
        f"{did_you_mean(wanted, table.columns)}; it has {', '.join(table.columns[:12])}: name it "
        f"with {option}"
    )

"""Which column of a user's table of responses is what: as named by options, or guessed by name."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from combo_lightning.data.schema import ResponseKind
from combo_lightning.data.sources.columns import GUESSES, IDENTIFIERS, UserTable, plain
from combo_lightning.data.units import concentration_unit
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
_POTENCY = "log10 molar"
# How a concentration is scaled where a column's name ends with it, and by what an IC50's begins.
_TAILS = ("um", "µm", "μm", "nm", "mm", "pm", "m", "molar")
_LOGS = ("log10", "log", "ln")
_STATED = re.compile(r"(?:^|[^A-Za-z0-9])([muUnNpPµμ]?M|[uUnNpPµμ]m|[Mm]olar)\W*$")
# A unit at the end of a dose's name that is none of `DOSE_UNITS`.
_OTHER = re.compile(r"(?:^|[^A-Za-z0-9])([pP][mM]|[munpµμ]?g\W*(?:/|per\W)\W*[mu]?[lL])\W*$")
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
        response_unit: Unit of the responses; None: their kind's.
    """

    drugs: list[str]
    doses: list[str]
    unit: str
    cell: str | None
    responses: list[str]
    weight: str | None
    study: str | None
    plate: str | None = None
    response_unit: str | None = None

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
    doses = _doses(table, mapping, kind, drugs)
    extra = {
        role: table.require(named, f"--{role}_column")
        if named
        else table.guess(GUESSES[role], role)
        for role, named in (("weight", mapping.weight), ("study", mapping.study))
    }
    plate = table.guess(GUESSES["plate"], "plate")
    unit = _dose_unit(table, doses, mapping.dose_unit)
    if mapping.matrix:
        other = {*drugs, *doses, *extra.values(), plate}
        beside = [column for column in table.columns if column not in other]
        # Such as the index that pandas writes, or what ends each line behind a separator.
        left = [column for column in beside if plain(column) in IDENTIFIERS]
        if left:
            logger.warning("%s: no cell lines, left out: '%s'", table.where, "', '".join(left))
        lines = [column for column in beside if column not in left]
        if not lines:
            raise InputError(
                f"{table.where} has no column beside drugs; a matrix needs cell lines"
            )
        logger.info("%s: a matrix of %d cell lines", table.where, len(lines))
        found = Layout(drugs, doses, unit, None, lines, extra["weight"], extra["study"], plate)
        return replace(found, response_unit=mapping.response_unit)
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
        else table.guess(_response_names(kind), "response")
    )
    if response is None:
        wanted = "response" if kind.name == "other" else kind.name
        raise InputError(_no_column(table, wanted, "--response_column"))
    return Layout(
        drugs, doses, unit, cell, [response], extra["weight"], extra["study"], plate,
        _response_unit(table, response, kind, mapping.response_unit),
    )  # fmt: skip


def _doses(
    table: UserTable, mapping: TableMapping, kind: ResponseKind, drugs: Sequence[str]
) -> list[str]:
    """Find the columns of doses, one a drug, if the response has them.

    Raises:
        InputError: If there are not as many, or options speak of doses where there are none.
    """
    if kind.per_dose:
        doses = _slots(table, mapping.doses, (_DOSE, _SINGLE_DOSE), "dose")
        if len(doses) != len(drugs):
            raise InputError(
                f"{table.where} has {len(drugs)} drug columns ({', '.join(drugs)}) and "
                f"{len(doses)} dose columns ({', '.join(doses) or 'none'}); a response of kind "
                f"'{kind.name}' needs one dose column a drug: name them with --dose_columns"
            )
        return doses
    if mapping.doses or mapping.dose_unit:
        option = "--dose_columns" if mapping.doses else "--dose_unit"
        raise InputError(
            f"{option}: a response of kind '{kind.name}' has no doses; leave it out, or say "
            "--response growth or viability"
        )
    return []


def _response_names(kind: ResponseKind) -> list[str]:
    """Give names of the response's column; a logarithm without a unit could be of any."""
    name = plain(kind.name)
    names = [name]
    if kind.unit == _POTENCY:
        names += [f"p{name}", *(f"{log}{name}{tail}" for log in ("", *_LOGS) for tail in _TAILS)]
    return [*names, *GUESSES["response"]]


def _response_unit(
    table: UserTable, column: str, kind: ResponseKind, named: str | None
) -> str | None:
    """Tell the unit of an IC50, GI50 .. from its column's name, as in "IC50 (nM)" or "pIC50".

    Raises:
        InputError: If the name's unit is none.
    """
    if kind.unit != _POTENCY:
        return named
    word = plain(column)
    match = _STATED.search(column)
    stated = None
    if word.startswith(f"p{plain(kind.name)}"):
        stated = "pIC50"
    elif match is not None:
        log = next((log for log in _LOGS if word.startswith(log)), "")
        stated = f"{log}{match.group(1)}"
    if named is None and stated is not None:
        known = stated
        if stated != "pIC50":
            known = concentration_unit(stated, f"{table.where}, column '{column}'").name
        logger.info(
            "%s: taking '%s' as %s (change it with --response_unit)", table.where, column, known
        )
        return known
    if stated is not None and plain(stated) != plain(named or ""):
        logger.warning(
            "%s: column '%s' is named after %s, and taken as --response_unit %s",
            table.where, column, stated, named,
        )  # fmt: skip
    return named


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


def _dose_unit(table: UserTable, doses: Sequence[str], named: str | None) -> str:
    """Tell the unit of doses: as named, else from the ends of the columns' names.

    Raises:
        InputError: If the columns disagree, or end with a unit that is not read.
    """
    if not doses:
        return named or _DEFAULT_UNIT
    if named is None:
        for name in doses:
            other = _OTHER.search(name)
            if other is not None:
                raise InputError(
                    f"{table.where}: column '{name}' seems to be in {other.group(1)}; convert it "
                    "to M, mM, uM, nM or log10M, and name that with --dose_unit"
                )
    units = _units_of(doses)
    if named is not None:
        if units - {named}:
            logger.warning(
                "%s: the dose columns (%s) are named after %s, and taken as --dose_unit %s",
                table.where, ", ".join(doses), " and ".join(sorted(units)), named,
            )  # fmt: skip
        return named
    if len(units) > 1:
        raise InputError(
            f"{table.where}: the dose columns ({', '.join(doses)}) seem to be in "
            f"{' and '.join(sorted(units))}; convert them to one unit and name it with --dose_unit"
        )
    unit = units.pop() if units else _DEFAULT_UNIT
    logger.info("%s: taking doses as %s (change it with --dose_unit)", table.where, unit)
    return unit


def _units_of(doses: Sequence[str]) -> set[str]:
    """Tell the units from the ends of the columns' names."""
    units = set()
    for name in doses:
        match = _UNIT.search(name)
        text = match.group(1) if match else ""
        if text.startswith("log10") or plain(name).startswith("log10molar"):
            units.add("log10M")
        elif text:
            prefix = text[0] if len(text) == 2 else ""
            units.add({"µ": "u", "μ": "u", "U": "u", "N": "n"}.get(prefix, prefix) + "M")
    return units


def _no_column(table: UserTable, wanted: str, option: str) -> str:
    return (
        f"{table.where} has no column that reads as '{wanted}'"
        f"{did_you_mean(wanted, table.columns)}; it has {', '.join(table.columns[:12])}: name it "
        f"with {option}"
    )

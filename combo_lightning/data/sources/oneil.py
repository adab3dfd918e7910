"""The combination screen of O'Neil et al. 2016 (Merck): 38 drugs, 583 pairs, 39 lines.

Two supplementary tables: single agents (``156849_1_supp_0_w2lh45.xlsx``) and combinations
(``156849_1_supp_1_w2lrww.xls``, which is an .xlsx), as such or exported as CSV. A row holds the
replicates of one well as fractions of untreated wells; doses are micromolar. Name the folder that
holds both for synergy scores. Columns from code that reads them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from combo_lightning.data.hill import VIABILITY, HillFits, fit_hill
from combo_lightning.data.sources.columns import UserTable, plain, texts
from combo_lightning.data.sources.screen import OPTION, ScreenSource
from combo_lightning.data.sources.screen_facts import SeenDrugs, SeenLines
from combo_lightning.data.sources.screen_file import header_of, open_table
from combo_lightning.data.sources.wells import RESPONSES, SCORES, Block, WellsSource, slots_of
from combo_lightning.data.units import CONCENTRATION_UNITS, to_log10_molar
from combo_lightning.errors import InputError

Floats = npt.NDArray[np.float64]

STUDY = "O'Neil 2016"
_SINGLE = ("cellline", "drugname", "viability1")
_PAIR = ("cellline", "druganame", "drugbname", "viability1")
_REPLICATE = re.compile(r"viability[0-9]+")
# The micro sign is lost or doubled where somebody saved it as CSV: "(µM)", "(uM)", "(?M)".
_DOSE = r"drug{letter}conc(?:entration)?(?:(?:u|µ|μ|âµ|\?|\ufffd)m)?"
# Fractions of untreated wells; percents would have a middle far above.
_MIDDLE = 5.0


@dataclass(frozen=True)
class OneilFormat:
    """O'Neil's single agents, combinations, or a folder with both."""

    name: str = "O'Neil (Merck) screen"
    responses: Sequence[str] = RESPONSES

    def recognises(self, path: Path, option: str) -> bool:
        """Tell from the columns of a file, or of the files in a folder."""
        return bool(_tables(path, option))

    def open(self, path: Path, response: str) -> ScreenSource:
        """Find the tables that the response needs.

        Raises:
            InputError: If one is missing.
        """
        tables = _tables(path, OPTION)
        needed = [] if response == "viability" else ["single agents"]
        needed += ["combinations"] if response in SCORES else []
        lacking = [name for name in needed if name not in tables]
        if lacking:
            raise InputError(
                f"--response {response} needs the {self.name}'s table of {lacking[0]}, and {path} "
                f"is that of {' and '.join(tables)}; name a folder that holds both files"
            )
        slots = 2 if "combinations" in tables else 1
        return WellsSource(
            num_slots=min(slots, slots_of(response)),
            lines=SeenLines(),
            drugs=SeenDrugs(path, OPTION, self.name),
            blocks=_blocks(tables, response),
            response=response,
        )


def _tables(path: Path, option: str) -> dict[str, Path]:
    """Find the tables by their columns, in a folder or as the file itself."""
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    found: dict[str, Path] = {}
    for file in files:
        columns = {plain(name) for name in header_of(file, option)}
        for name, needed in (("combinations", _PAIR), ("single agents", _SINGLE)):
            if set(needed) <= columns:
                found[name] = file
    return found


def _blocks(tables: dict[str, Path], response: str) -> Iterator[Block]:
    """Give the blocks that a response is made of.

    Yields:
        Blocks of wells; for synergy scores with the single drugs' curves beside them.

    Raises:
        InputError: If a value is not what it must be.
    """
    singles: list[Block] = []
    if "single agents" in tables:
        singles = _read(open_table(tables["single agents"], OPTION), ("",))
    if response in SCORES:
        alone = _curves(singles)
        for block in _read(open_table(tables["combinations"], OPTION), ("a", "b")):
            yield _with_curves(block, alone)
        return
    yield from singles
    if response == "viability" and "combinations" in tables:
        yield from _read(open_table(tables["combinations"], OPTION), ("a", "b"))


def _read(table: UserTable, letters: Sequence[str]) -> list[Block]:
    """Read a table: a block for each line, drugs and batch, a well for each replicate.

    Raises:
        InputError: If a column is missing, or a value is not what it must be.
    """
    rows = table.read().combine_chunks()
    names = {plain(column): column for column in reversed(table.columns)}
    replicates = [names[name] for name in names if _REPLICATE.fullmatch(name)]
    values = np.stack([table.numbers(rows.column(n), n) for n in replicates], axis=1)
    middle = np.nanmedian(values) if np.isfinite(values).any() else np.nan
    if middle > _MIDDLE:
        raise InputError(
            f"{table.where}: viability is {middle:g} in the middle; this table states fractions "
            "of untreated wells: divide it by 100"
        )
    drugs = [names[f"drug{letter}name"] for letter in letters]
    doses = np.stack([_doses(table, rows, names, letter) for letter in letters], axis=1)
    keyed = [texts(rows.column(name)) for name in (names["cellline"], *drugs)]
    for name, column in zip((names["cellline"], *drugs), keyed, strict=True):
        missing = ~column.is_valid().to_numpy(zero_copy_only=False)
        table.refuse(missing, rows.column(name).combine_chunks(), name, 0, "give it")
    if "batchid" in names:
        keyed.append(texts(rows.column(names["batchid"])).fill_null(""))
    codes = [column.dictionary_encode() for column in keyed]
    _, code = np.unique(
        np.stack([c.indices.to_numpy() for c in codes]), axis=1, return_inverse=True
    )
    order = np.argsort(code, kind="stable")
    blocks = []
    for part in np.split(order, np.cumsum(np.bincount(code))[:-1]):
        cell, *pair = (column[int(part[0])].as_py() for column in keyed[: len(letters) + 1])
        dose = np.full((len(part) * len(replicates), 2), -np.inf)
        dose[:, : len(letters)] = np.repeat(doses[part], len(replicates), axis=0)
        viability = 100 * values[part].ravel()
        blocks.append(Block(cell, (pair[0], pair[1] if pair[1:] else ""), dose, viability, STUDY))
    return blocks


def _doses(table: UserTable, rows: pa.Table, names: dict[str, str], letter: str) -> Floats:
    pattern = re.compile(_DOSE.format(letter=letter))
    known = {name: re.sub(r"[\s_.()]", "", name.lower()) for name in names.values()}
    column = next((name for name, word in known.items() if pattern.fullmatch(word)), None)
    if column is None:
        raise InputError(
            f"{table.where} has no column 'drug{letter.upper()} Conc (µM)'; it has "
            f"{', '.join(table.columns)}"
        )
    dose = table.numbers(rows.column(column), column)
    expected = "a dose must be more than 0"
    table.refuse(~(dose > 0), rows.column(column).combine_chunks(), column, 0, expected)
    return to_log10_molar(dose, CONCENTRATION_UNITS["uM"])


def _curves(singles: Sequence[Block]) -> dict[tuple[str, str], tuple[HillFits, int]]:
    """Fit a curve to each drug in each line, over all its batches."""
    series: dict[tuple[str, str], list[Block]] = {}
    for block in singles:
        series.setdefault((block.cell, block.drugs[0]), []).append(block)
    x = [np.concatenate([b.log10_molar[:, 0] for b in blocks]) for blocks in series.values()]
    y = [np.concatenate([b.percent for b in blocks]) for blocks in series.values()]
    fits = fit_hill(x, y, VIABILITY)
    return {key: (fits, row) for row, key in enumerate(series)}


def _with_curves(block: Block, alone: dict[tuple[str, str], tuple[HillFits, int]]) -> Block:
    """Add what each drug does alone at the block's doses, by its curve.

    The tables have other doses alone than together. Without a curve the block stays as it is, and
    has no score.
    """
    doses, viability = [block.log10_molar], [block.percent]
    for slot, drug in enumerate(block.drugs):
        fits, row = alone.get((block.cell, drug), (None, 0))
        if fits is None or not np.isfinite(fits.end[row]):
            return block
        levels = np.unique(block.log10_molar[:, slot])
        more = np.full((len(levels), 2), -np.inf)
        more[:, slot] = levels
        doses.append(more)
        viability.append(fits.predict_one(row, levels))
    return Block(
        block.cell, block.drugs, np.concatenate(doses), np.concatenate(viability), block.study
    )

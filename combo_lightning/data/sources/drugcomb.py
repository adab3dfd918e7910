r"""DrugComb's summary of all studies: ``summary_v_1_5.csv``, 1.4 million rows of 26 columns.

One row a block: two drugs in a line, or one (``drug_col`` is NULL). Synergy scores and CSS are in
percentage points of inhibition; ``ic50_row`` and ``ic50_col`` are in the unit of their column
``conc_row_unit``. Missing is ``\N``. Columns from code that reads it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from combo_lightning.data.sources.columns import UserTable
from combo_lightning.data.sources.long_screen import Batch, LongFormat, Mask, Measure
from combo_lightning.data.sources.screen import OPTION, ScreenSource
from combo_lightning.data.sources.screen_facts import SeenDrugs, SeenLines
from combo_lightning.data.sources.screen_file import open_table
from combo_lightning.data.units import concentration_unit, to_log10_molar
from combo_lightning.errors import InputError, did_you_mean

NAME = "DrugComb summary"
_CELL, _STUDY, _TISSUE = "cell_line_name", "study_name", "tissue_name"


def _single_drugs(batch: Batch) -> Mapping[str, Mask]:
    one, other = batch.text("drug_row"), batch.text("drug_col")
    alone = ~(one.is_valid().to_numpy(zero_copy_only=False)
              & other.is_valid().to_numpy(zero_copy_only=False))  # fmt: skip
    return {"single drug (a score needs two)": alone}


_PAIRS = LongFormat(
    name=NAME,
    told_by=("block_id", "drug_row", "drug_col", _CELL, _STUDY, "conc_row_unit", "css_ri"),
    cell=(_CELL,),
    drugs=(("drug_row",), ("drug_col",)),
    measures={
        "bliss": Measure(("synergy_bliss",)),
        "hsa": Measure(("synergy_hsa",)),
        "loewe": Measure(("synergy_loewe",)),
        "zip": Measure(("synergy_zip",)),
        "css": Measure(("css_ri",)),
        "s_sum": Measure(("S_sum",)),
        "s_mean": Measure(("S_mean",)),
        "s_max": Measure(("S_max",)),
    },
    study=(_STUDY,),
    tissue=(_TISSUE,),
    drug_facts=(
        {"mechanism": ("drug_row_target_name",)},
        {"mechanism": ("drug_col_target_name",)},
    ),
    unusable=_single_drugs,
)


@dataclass(frozen=True)
class DrugCombFormat:
    """DrugComb's summary: scores of pairs, and IC50s of single drugs."""

    name: str = NAME
    responses: Sequence[str] = (*_PAIRS.measures, "ic50")

    def recognises(self, path: Path, option: str) -> bool:
        """Tell from a file's header whether it is of this format."""
        return _PAIRS.recognises(path, option)

    def open(self, path: Path, response: str) -> ScreenSource:
        """Open a file, and find the columns that the response needs.

        Raises:
            InputError: If one is missing.
        """
        if response != "ic50":
            return _PAIRS.open(path, response)
        table = open_table(path, OPTION)
        needed = [f"{name}_{side}" for side in ("row", "col") for name in ("drug", "ic50")]
        needed += ["conc_row_unit", "conc_col_unit", _CELL, _STUDY]
        by_lower = {column.lower(): column for column in table.columns}
        for name in needed:
            if name not in by_lower:
                raise InputError(
                    f"{table.where} is a {NAME}, but has no column '{name}'"
                    f"{did_you_mean(name, table.columns)}; it has {', '.join(table.columns)}"
                )
        optional = (_TISSUE, "drug_row_target_name", "drug_col_target_name")
        return _Ic50Source(
            num_slots=1,
            lines=SeenLines(),
            drugs=SeenDrugs(path, OPTION, NAME),
            table=table,
            columns=[by_lower[n] for n in (*needed, *optional) if n in by_lower],
        )


@dataclass(kw_only=True)
class _Ic50Source(ScreenSource):
    """The IC50s of each block's drugs alone: a row of the file gives two rows, or one.

    Args:
        table: The file.
        columns: What to read of it.
    """

    table: UserTable
    columns: list[str]

    def rows(self) -> Iterator[Any]:
        """Read the rows, a batch at a time; see `ScreenSource`."""
        first_row = 0
        for rows in self.table.batches(self.columns):
            batch = Batch(self.table, rows, first_row)
            cell, study = batch.text(_CELL), batch.text(_STUDY)
            for side in ("row", "col"):
                drug = batch.text(f"drug_{side}")
                ic50 = self._log10_molar(batch, side, _valid(drug) & _valid(cell))
                kept = pa.array(np.isfinite(ic50))
                tissue, target = batch.text(_TISSUE), batch.text(f"drug_{side}_target_name")
                self.lines.add(cell.filter(kept), None if tissue is None else tissue.filter(kept))
                facts = {} if target is None else {"mechanism": target.filter(kept)}
                self.drugs.add(drug.filter(kept), facts)
                columns = {"cell_id": cell, "drug_1": drug, "study": study,
                           "response": pa.array(ic50)}  # fmt: skip
                yield pa.table(columns).filter(kept)
            first_row += len(rows)

    def _log10_molar(self, batch: Batch, side: str, there: Mask) -> npt.NDArray[np.float64]:
        """Convert a side's IC50s; what is not above 0, or not molar, is dropped and counted.

        Args:
            batch: Rows of the file.
            side: "row" or "col".
            there: Which rows have a drug on that side, and a line.
        """
        ic50, units = batch.numbers(f"ic50_{side}"), batch.text(f"conc_{side}_unit")
        assert ic50 is not None  # `open` has looked
        result = np.full(len(ic50), np.nan)
        self.dropped["missing response"] += int((there & np.isnan(ic50)).sum())
        self.dropped["IC50 not above 0"] += int((there & (ic50 <= 0)).sum())
        words = units.fill_null("").dictionary_encode()
        code = words.indices.to_numpy()
        for number, word in enumerate(words.dictionary.to_pylist()):
            here = there & (code == number) & (ic50 > 0)
            try:
                unit = concentration_unit(word, self.table.where)
            except InputError:
                self.dropped[f"IC50 in '{word}', which is no molar unit"] += int(here.sum())
                continue
            result[here] = to_log10_molar(ic50[here], unit)
        return result


def _valid(column: Any) -> npt.NDArray[np.bool_]:
    valid: npt.NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    return valid

"""CTRP v2: a folder or ZIP archive of tables, as the CTD2 portal of the NCI gives it.

``v20.data.curves_post_qc.txt`` has a row a curve: a compound in an experiment, which is a line on
a day; the metadata tell which. ``area_under_curve`` is the area under the fitted viability over
log2 of the concentration, so that 16 two-fold steps without effect give about 15; as a fraction it
is divided by the range of its concentrations. Source: the authors' reference code, with
``v20.meta.per_experiment.txt`` itself, and code that reads the other tables.

Shapes: N rows of a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.sources.columns import UserTable, texts
from combo_lightning.data.sources.ctrp_curve import Curves, log10_molar
from combo_lightning.data.sources.ctrp_files import (
    COMPOUNDS,
    CURVES,
    EXPERIMENTS,
    LINES,
    POINTS,
    REFIT,
    CtrpFiles,
    holds_responses,
)
from combo_lightning.data.sources.ctrp_metadata import CtrpMetadata, CurveRanges
from combo_lightning.data.sources.screen import OPTION, ScreenSource
from combo_lightning.data.sources.screen_facts import SeenDrugs, SeenLines
from combo_lightning.data.sources.screen_file import needed_columns
from combo_lightning.errors import InputError

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NAME = "CTRP v2"
# 16 concentrations, each twice the one below: Seashore-Ludlow et al., Cancer Discov. 2015.
_STEPS = 15.0
# An area by trapezoids between two-fold steps may be off by half a step.
_AREA_OFF = 0.6
_VIABILITY_OFF = 0.05
_CURVE = ("p1_center", "p2_slope", "p3_total_decline", "p4_baseline")
_WANTED = {
    CURVES: ("area_under_curve", "pred_pv_high_conc", *_CURVE),
    REFIT: ("area_under_curve",),
    POINTS: ("cpd_avg_pv", "cpd_conc_umol"),
}


class CtrpFormat:
    """The tables of CTRP v2."""

    name = NAME
    responses: Sequence[str] = ("auc", "ic50", "viability")

    def recognises(self, path: Path, option: str) -> bool:
        """Tell whether a folder, an archive or a file is or holds responses of CTRP."""
        return holds_responses(path)

    def open(self, path: Path, response: str) -> ScreenSource:
        """Find the tables, and read the metadata.

        Raises:
            InputError: If a table that is needed is not there.
        """
        files = CtrpFiles.find(path, POINTS if response == "viability" else None)
        if files.responses == REFIT and response != "auc":
            raise InputError(
                f"--response {response}: {path} holds refitted areas (auc) alone; name the folder "
                f"with {CURVES}, v20.data.curves_post_qc.txt"
            )
        if files.responses == POINTS and response != "viability":
            raise InputError(
                f"--response {response}: {path} holds points of curves (viability); name the "
                "folder, or v20.data.curves_post_qc.txt in it"
            )
        ranged = files.responses == CURVES and POINTS in files.tables
        used = [files.responses, COMPOUNDS, LINES, EXPERIMENTS, *([POINTS] if ranged else [])]
        paths = [files.path(kind) for kind in used]
        return CtrpSource(
            num_slots=1,
            lines=SeenLines(),
            drugs=SeenDrugs(path, OPTION, NAME),
            files=paths if files.unpacked is None else [path],
            tables=files,
            metadata=CtrpMetadata.read(files),
            ranges=CurveRanges.read(files) if ranged else None,
            response=response,
        )


@dataclass(kw_only=True)
class CtrpSource(ScreenSource):
    """The tables of CTRP v2 that are being read.

    Args:
        tables: The files.
        metadata: Which line and compound a row is of.
        ranges: Concentrations of each curve; None: there is no table of them.
        response: The kind of response to take.
    """

    tables: CtrpFiles
    metadata: CtrpMetadata
    ranges: CurveRanges | None
    response: str

    def rows(self) -> Iterator[Any]:
        """Read the rows, a batch at a time; see `ScreenSource`."""
        table = self.tables.open(self.tables.responses)
        names = ["experiment_id", "master_cpd_id", *_WANTED[self.tables.responses]]
        first_row = 0
        for batch in table.batches(needed_columns(table, names)):
            yield self._rows_of(_Rows(table, batch.rename_columns(names), first_row))
            first_row += len(batch)

    def _rows_of(self, rows: "_Rows") -> Any:
        """Turn a batch into measurements, and drop what none is."""
        experiment, compound = rows.text("experiment_id"), rows.text("master_cpd_id")
        line_N, drug_N = self.metadata.lines_of(experiment), self.metadata.drugs_of(compound)
        left_N = np.ones(len(rows), dtype=bool)
        self._drop(left_N, "experiment without a cell line", _null(line_N))
        self._drop(left_N, "compound that the metadata lack", _null(drug_N))
        self._drop(left_N, "two compounds mixed in one well", self.metadata.mixed(drug_N))
        dose_N = None
        if self.response == "viability":
            value_N = rows.numbers("cpd_avg_pv") * 100
            concentration_N = rows.numbers("cpd_conc_umol")
            self._drop(left_N, "missing response", np.isnan(value_N))
            rows.refuse(
                left_N & ~(concentration_N > 0), "cpd_conc_umol", "above 0 was expected, in uM"
            )
            dose_N = np.log10(np.where(concentration_N > 0, concentration_N, 1)) - 6
        elif self.tables.responses == REFIT:
            value_N = rows.numbers("area_under_curve")
            self._drop(left_N, "missing response", np.isnan(value_N))
        else:
            value_N = self._of_curves(rows, experiment, compound, left_N)
        kept = pa.array(np.flatnonzero(left_N))
        self._note(experiment.take(kept), line_N.take(kept), drug_N.take(kept))
        columns = {
            "cell_id": line_N.take(kept),
            "drug_1": drug_N.take(kept),
            "response": pa.array(value_N[left_N]),
            "study": pa.array([NAME] * len(kept), pa.string()),
        }
        if dose_N is not None:
            columns["log10_molar_1"] = pa.array(dose_N[left_N])
        return pa.table(columns)

    def _drop(self, left_N: Mask, reason: str, bad_N: Mask) -> None:
        self.dropped[reason] += int((left_N & bad_N).sum())
        left_N &= ~bad_N

    def _of_curves(self, rows: "_Rows", experiment: Any, compound: Any, left_N: Mask) -> Floats:
        """Compute the response of fitted curves, and drop those of which it cannot be told."""
        area_N = rows.numbers("area_under_curve")
        self._drop(left_N, "missing response", np.isnan(area_N))
        curves = Curves(*(rows.numbers(name) for name in _CURVE))
        if self.ranges is None:
            high_N = np.log2(self.metadata.top_of(compound))
            low_N = high_N - _STEPS
        else:
            low_N, high_N = self.ranges.of(experiment, compound)
            self._drop(left_N, "no points of the curve in the table of points", np.isnan(low_N))
        if self.response == "auc":
            reason = "the curve's area is not that over its range of concentrations" + (
                "" if self.ranges else " as designed, 16 two-fold steps up to the top one"
            )
            off_N = ~(np.abs(curves.area(low_N, high_N) - area_N) <= _AREA_OFF)
            self._drop(left_N, reason, off_N)
            return area_N / (high_N - low_N)
        stated_N = rows.numbers("pred_pv_high_conc")
        off_N = ~(np.abs(curves.viability(high_N) - stated_N) <= _VIABILITY_OFF)
        self._drop(left_N, "the curve's value at the top concentration is not that stated", off_N)
        half_N = curves.half()
        within_N = (half_N >= low_N) & (half_N <= high_N)
        self._drop(left_N, "the curve does not cross a half within the range tested", ~within_N)
        return log10_molar(half_N)

    def _note(self, experiment: Any, line: Any, drug: Any) -> None:
        self.lines.add(line, self.metadata.tissues_of(line))
        self.drugs.add(drug, self.metadata.facts_of(drug))
        unsure = int(self.metadata.unconfirmed(experiment).sum())
        self.notes["rows of experiments whose line no SNP fingerprint confirms"] += unsure


class _Rows:
    """Rows of a table.

    Args:
        table: The table.
        batch: An Arrow batch.
        first_row: Number of its first row.
    """

    def __init__(self, table: UserTable, batch: Any, first_row: int) -> None:
        self._table, self._batch, self._first_row = table, batch, first_row

    def __len__(self) -> int:
        return len(self._batch)

    def text(self, name: str) -> Any:
        """Give a column as text."""
        return texts(self._batch.column(name))

    def numbers(self, name: str) -> Floats:
        """Give a column as numbers."""
        return self._table.numbers(self._batch.column(name), name, self._first_row)

    def refuse(self, bad_N: Mask, name: str, expected: str) -> None:
        """Refuse the first bad value of a column."""
        self._table.refuse(bad_N, self._batch.column(name), name, self._first_row, expected)


def _null(column: Any) -> Mask:
    return np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False), dtype=bool)

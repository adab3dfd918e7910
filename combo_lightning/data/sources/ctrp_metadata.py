"""What CTRP's metadata tell of experiments, lines and compounds, and its points of curves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.columns import true_rows
from combo_lightning.data.sources.columns import texts
from combo_lightning.data.sources.ctrp_files import (
    COMPOUNDS,
    EXPERIMENTS,
    LINES,
    POINTS,
    CtrpFiles,
)
from combo_lightning.data.sources.screen_file import find_column, needed_columns

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_CONFIRMED = "SNP-matched-reference"
# navitoclax:gemcitabine (1:1 mol/mol)
_MIXED = r"\(\d+:\d+ mol/mol\)$"


@dataclass(frozen=True)
class CtrpMetadata:
    """Experiments, lines and compounds, each column by the identifier that stands first.

    Args:
        experiments: ``experiment_id``, ``master_ccl_id``, ``confirmed``.
        lines: ``master_ccl_id``, ``ccl_name``, ``ccle_primary_site``.
        compounds: ``master_cpd_id``, ``cpd_name``, ``broad_cpd_id``, ``cpd_smiles``, ``top``,
            ``target_or_activity_of_compound``.
    """

    experiments: Mapping[str, Any]
    lines: Mapping[str, Any]
    compounds: Mapping[str, Any]

    @classmethod
    def read(cls, files: CtrpFiles) -> "CtrpMetadata":
        """Read the metadata.

        Raises:
            InputError: If a table is missing, or rows of it disagree.
        """
        experiments = files.read(EXPERIMENTS, "experiment_id", "master_ccl_id")
        confirmed = _confirmed(files, experiments["experiment_id"])
        lines = files.read(LINES, "master_ccl_id", "ccl_name", "ccle_primary_site")
        compounds = files.read(
            COMPOUNDS, "master_cpd_id", "cpd_name", "broad_cpd_id", "cpd_smiles",
            "target_or_activity_of_compound",
        )  # fmt: skip
        lines["ccl_name"] = _told_apart(lines["ccl_name"], lines["master_ccl_id"])
        compounds["cpd_name"] = _told_apart(compounds["cpd_name"], compounds["master_cpd_id"])
        compounds["top"] = _top(files, compounds["master_cpd_id"])
        return cls(experiments | {"confirmed": confirmed}, lines, compounds)

    def lines_of(self, experiment: Any) -> Any:
        """Name the line of each experiment; null: unknown."""
        line = _look_up(
            experiment, self.experiments["experiment_id"], self.experiments["master_ccl_id"]
        )
        return _look_up(line, self.lines["master_ccl_id"], self.lines["ccl_name"])

    def unconfirmed(self, experiment: Any) -> Mask:
        """Tell experiments whose line no fingerprint confirms."""
        sure = _look_up(
            experiment, self.experiments["experiment_id"], self.experiments["confirmed"]
        )
        return ~true_rows(sure)

    def tissues_of(self, line: Any) -> Any:
        """Give the tissue of each line."""
        tissue = _look_up(line, self.lines["ccl_name"], self.lines["ccle_primary_site"])
        return pc.replace_substring(tissue, "_", " ")

    def drugs_of(self, compound: Any) -> Any:
        """Name each compound; null: unknown."""
        return _look_up(compound, self.compounds["master_cpd_id"], self.compounds["cpd_name"])

    def top_of(self, compound: Any) -> Floats:
        """Give the highest concentration of each compound, in micromolar; NaN: unknown."""
        known = pc.index_in(compound, value_set=self.compounds["master_cpd_id"])
        place_N = np.asarray(known.fill_null(-1).to_numpy(zero_copy_only=False))
        top_N = np.append(self.compounds["top"], np.nan)[place_N]
        return np.where(top_N > 0, top_N, np.nan)

    def mixed(self, drug: Any) -> Mask:
        """Tell compounds that are two."""
        return true_rows(pc.match_substring_regex(drug, _MIXED))

    def facts_of(self, drug: Any) -> Mapping[str, Any]:
        """Give what is known of each compound, by role."""
        named = self.compounds["cpd_name"]
        roles = {
            "smiles": "cpd_smiles",
            "synonyms": "broad_cpd_id",
            "mechanism": "target_or_activity_of_compound",
        }
        told = {role: _look_up(drug, named, self.compounds[n]) for role, n in roles.items()}
        # Named, so that a compound called 968 is not looked for as a CID.
        return told | {"name": drug}


def _told_apart(name: Any, number: Any) -> Any:
    """Add its number to each name that stands for several."""
    counts = pc.value_counts(name)
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    numbered = pc.binary_join_element_wise(
        name, pc.binary_join_element_wise("(CTRP ", number, ")", ""), " "
    )
    return pc.if_else(pc.is_in(name, value_set=several), numbered, name)


def _top(files: CtrpFiles, compound: Any) -> Floats:
    """Read the highest concentration of each compound."""
    table = files.open(COMPOUNDS)
    rows = table.read()
    number, column = needed_columns(table, ("master_cpd_id", "top_test_conc_umol"))
    top_R = table.numbers(rows.column(column), column)
    known = pc.index_in(compound, value_set=texts(rows.column(number)))
    return np.asarray(top_R[known.to_numpy(zero_copy_only=False)])


def _confirmed(files: CtrpFiles, experiment: Any) -> Any:
    """Tell experiments all of whose rows say that a fingerprint confirms the line."""
    table = files.open(EXPERIMENTS)
    rows = table.read()
    column = find_column(table, ("snp_fp_status",))
    if column is None:
        return pa.array([True] * len(experiment))
    sure = pc.equal(texts(rows.column(column)), _CONFIRMED).fill_null(False)  # noqa: FBT003
    (number,) = needed_columns(table, ("experiment_id",))
    doubtful = texts(rows.column(number)).filter(pc.invert(sure))
    return pc.invert(pc.is_in(experiment, value_set=doubtful))


@dataclass(frozen=True)
class CurveRanges:
    """The lowest and the highest concentration of each curve, in log2 of micromolar.

    Args:
        key: ``experiment_id`` and ``master_cpd_id``, with a blank between them.
        low: The lowest.
        high: The highest.
    """

    key: Any
    low: Floats
    high: Floats

    @classmethod
    def read(cls, files: CtrpFiles) -> "CurveRanges":
        """Read the points of the curves.

        Raises:
            InputError: If a concentration is not above 0.
        """
        table = files.open(POINTS)
        columns = needed_columns(table, ("experiment_id", "master_cpd_id", "cpd_conc_umol"))
        parts, first_row = [], 0
        for batch in table.batches(columns):
            conc_N = table.numbers(batch.column(columns[2]), columns[2], first_row)
            table.refuse(
                ~(conc_N > 0), batch.column(columns[2]), columns[2], first_row,
                "above 0 was expected, in uM",
            )  # fmt: skip
            rows = pa.table(
                {"key": _key(*(texts(batch.column(c)) for c in columns[:2])), "x": np.log2(conc_N)}
            )
            parts.append(rows.group_by("key").aggregate([("x", "min"), ("x", "max")]))
            first_row += len(batch)
        whole = (
            pa.concat_tables(parts).group_by("key").aggregate([("x_min", "min"), ("x_max", "max")])
        )
        low, high = whole.column("x_min_min").to_numpy(), whole.column("x_max_max").to_numpy()
        return cls(whole.column("key").combine_chunks(), low, high)

    def of(self, experiment: Any, compound: Any) -> tuple[Floats, Floats]:
        """Give the range of each curve; NaN: unknown."""
        known = pc.index_in(_key(experiment, compound), value_set=self.key)
        place_N = np.asarray(known.fill_null(-1).to_numpy(zero_copy_only=False))
        return np.append(self.low, np.nan)[place_N], np.append(self.high, np.nan)[place_N]


def _key(experiment: Any, compound: Any) -> Any:
    return pc.binary_join_element_wise(experiment, compound, " ")


def _look_up(column: Any, keys: Any, values: Any) -> Any:
    """Give for each element the value of its key; null: there is no such key."""
    return values.take(pc.index_in(column, value_set=keys))

"""Which rows train, judge, validate and test; what belongs together is never torn apart.

Shapes: N measurements, K drug slots, G groups.
"""

import math
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from combo_lightning.data.columns import name_column, number_column
from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import Codes, combine_codes, compound_of_drug, compound_sets
from combo_lightning.data.schema import drug_columns
from combo_lightning.errors import InputError

# Written in pieces: a fit should not need memory for the whole table as text.
_ROWS_AT_ONCE = 1 << 16

# In this order: of two parts that a row could be of (leave_drug_out), it is of the later one.
PARTS = ("train", "tournament", "validation", "test", "unused")
TRAIN, TOURNAMENT, VALIDATION, TEST, UNUSED = range(5)
SplitKind = Literal[
    "random",
    "leave_pair_out",
    "leave_cell_line_out",
    "leave_drug_out",
    "leave_tissue_out",
    "leave_study_out",
    "file",
]


@dataclass(frozen=True)
class SplitConfig:
    """How rows are told apart into training, validation and test; see docs/splits.md.

    Args:
        kind: What no training row shares with a test row: a drug pair ("leave_pair_out"), a cell
            line, a drug, a tissue, a study; "random": a drug pair in a line; "file": as a file
            says.
        test_fraction: Share of rows (random, leave_pair_out) or of lines, drugs, tissues, studies.
        validation_fraction: The same for validation.
        tournament_fraction: The same for the rows by which trainer groups compare their models;
            they are taken from what would train, so that test and validation stay as they are.
        num_folds: Cut everything into this many folds instead, about equal in rows, `fold` being
            the test part; 0: no folds.
        fold: Which fold is tested, from 0.
        test_studies: With kind "leave_study_out": the studies that are tested, instead of a
            fraction.
        file: With kind "file": CSV, TSV or Parquet with a column ``part``.
    """

    kind: SplitKind = "random"
    test_fraction: float = 0.1
    validation_fraction: float = 0.1
    tournament_fraction: float = 0.0
    num_folds: int = 0
    fold: int = 0
    test_studies: list[str] | None = None
    file: str | None = None

    def check(self) -> None:
        """Refuse fractions and folds that cannot be.

        Raises:
            InputError: With the option and what it may be.
        """
        fractions = {
            "test_fraction": self.test_fraction,
            "validation_fraction": self.validation_fraction,
            "tournament_fraction": self.tournament_fraction,
        }
        for name, value in fractions.items():
            if not 0 <= value < 1:
                raise InputError(f"data.split.{name} is {value}; it must lie in [0, 1)")
        if not self.num_folds and sum(fractions.values()) >= 1:
            raise InputError(
                "data.split leaves nothing to train on: "
                + ", ".join(f"{name} {value}" for name, value in fractions.items())
                + "; make their sum less than 1"
            )
        if self.num_folds == 1 or self.num_folds < 0:
            raise InputError(
                f"data.split.num_folds is {self.num_folds}; it must be 0 (no folds) or 2 and more"
            )
        if self.num_folds and not 0 <= self.fold < self.num_folds:
            raise InputError(
                f"data.split.fold is {self.fold}; with {self.num_folds} folds it must be 0 to "
                f"{self.num_folds - 1}"
            )
        if self.test_studies is not None and (
            self.kind != "leave_study_out" or self.num_folds or not self.test_studies
        ):
            raise InputError(
                "data.split.test_studies names one study or more, with data.split.kind "
                "'leave_study_out' and without folds"
            )
        if (self.kind == "file") != (self.file is not None):
            raise InputError("data.split.kind 'file' and data.split.file go together")


@dataclass(frozen=True)
class Split:
    """The part of every row.

    Args:
        part_N: 0 training, 1 tournament, 2 validation, 3 test, 4 unused; int8.
        unseen_drugs_N: Distinct compounds of a row that no training row holds; int8.
    """

    part_N: npt.NDArray[np.int8]
    unseen_drugs_N: npt.NDArray[np.int8]

    @property
    def train_rows(self) -> Codes:
        """The training rows, in order."""
        return np.flatnonzero(self.part_N == TRAIN)

    @property
    def tournament_rows(self) -> Codes:
        """The rows by which trainer groups compare their models, in order."""
        return np.flatnonzero(self.part_N == TOURNAMENT)

    @property
    def validation_rows(self) -> Codes:
        """The validation rows, in order."""
        return np.flatnonzero(self.part_N == VALIDATION)

    @property
    def test_rows(self) -> Codes:
        """The test rows, in order."""
        return np.flatnonzero(self.part_N == TEST)


def draw_split(dataset: ScreenDataset, config: SplitConfig, seed: int) -> Split:
    """Draw the parts; equal arguments give equal parts on every machine.

    Both orders of a pair, all replicates, all doses of a pair in a line, and drugs with the same
    InChIKey always stay together.

    Args:
        dataset: The screen.
        config: The rule.
        seed: Seed of the draw, 0 or more.

    Raises:
        InputError: If the rule cannot be kept, or a part that was asked for is empty.
    """
    config.check()
    if seed < 0:
        raise InputError(f"the seed of the split is {seed}; it must be 0 or more")
    compound_D = compound_of_drug(dataset)
    if config.kind == "file":
        # Imported here: its Arrow functions are 10 MB that the other splits spare.
        from combo_lightning.data.split_file import read_parts

        part_N = read_parts(Path(str(config.file)), dataset, compound_D, PARTS)
    elif config.kind == "leave_study_out":
        from combo_lightning.data.study_split import study_parts

        part_N = study_parts(dataset, config, compound_D, seed)
    elif config.kind == "leave_drug_out":
        part_N = _parts_by_drug(dataset, config, compound_D, seed)
    else:
        part_N = _parts_by_group(dataset, config, compound_D, seed)
    split = split_of(dataset, part_N)
    _check_parts(split, config)
    return split


def split_of(dataset: ScreenDataset, part_N: npt.NDArray[np.int8]) -> Split:
    """Make a split of the part of every row, an index of `PARTS`."""
    return Split(part_N, _count_unseen(dataset, compound_of_drug(dataset), part_N))


def _groups(dataset: ScreenDataset, config: SplitConfig, compound_D: Codes) -> Codes:
    """Number the groups that stay together; -1: rows that always train.

    Raises:
        InputError: If the data set lacks what the rule needs.
    """
    responses = dataset.responses
    if config.kind == "leave_cell_line_out":
        return responses.cell_N.astype(np.int64)
    if config.kind == "leave_tissue_out":
        tissues = dataset.cells.annotation("tissue")
        used = np.unique(responses.cell_N)
        missing = [dataset.cells.ids[i] for i in used if tissues[i] is None]
        if missing:
            raise InputError(
                f"leave_tissue_out needs the tissue of every cell line; {len(missing)} have none: "
                f"{', '.join(missing[:5])}"
            )
        codes = np.unique([str(t) for t in tissues], return_inverse=True)[1]
        return codes[responses.cell_N].astype(np.int64)
    sets = compound_sets(responses, compound_D)
    if config.kind == "random":
        return combine_codes([sets, responses.cell_N])
    single = (responses.drug_NK >= 0).sum(axis=1) < 2
    if single.all():
        raise InputError(
            "leave_pair_out needs rows of two drugs or more, and this data set has single drugs "
            "only; use leave_drug_out"
        )
    return np.where(single, -1, sets)


def _parts_by_group(
    dataset: ScreenDataset, config: SplitConfig, compound_D: Codes, seed: int
) -> npt.NDArray[np.int8]:
    group_N = _groups(dataset, config, compound_D)
    groups, code_N, count_G = np.unique(group_N, return_inverse=True, return_counts=True)
    part_G = np.zeros(len(groups), dtype=np.int8)
    drawn = np.flatnonzero(groups >= 0)
    part_G[drawn] = _assign(count_G[drawn], config, seed)
    parts: npt.NDArray[np.int8] = part_G[code_N]
    return parts


def _parts_by_drug(
    dataset: ScreenDataset, config: SplitConfig, compound_D: Codes, seed: int
) -> npt.NDArray[np.int8]:
    """Hold drugs out: a row is of the furthest part that any of its drugs is of."""
    drug_NK = dataset.responses.drug_NK
    used, count = np.unique(compound_D[drug_NK[drug_NK >= 0]], return_counts=True)
    part_D = np.zeros(len(compound_D), dtype=np.int8)
    part_D[used] = _assign(count, config, seed)
    parts: npt.NDArray[np.int8] = np.where(drug_NK >= 0, part_D[compound_D[drug_NK]], TRAIN).max(
        axis=1
    )
    return parts


def _assign(rows_G: Codes, config: SplitConfig, seed: int) -> npt.NDArray[np.int8]:
    """Draw the part of each group.

    Args:
        rows_G: Rows that each group has.
        config: The rule.
        seed: Seed of the draw.

    Raises:
        InputError: If there are more folds than groups.
    """
    random = np.random.default_rng([seed, 1])
    order = random.permutation(len(rows_G))
    by_rows = config.kind in ("random", "leave_pair_out")
    size_G = rows_G if by_rows else np.ones_like(rows_G)
    if config.num_folds:
        if config.num_folds > len(rows_G):
            raise InputError(
                f"data.split.num_folds is {config.num_folds}, but there are only {len(rows_G)} "
                f"groups for kind '{config.kind}'; use fewer folds"
            )
        tested = deal_folds(rows_G, order, config.num_folds, random)[order] == config.fold
    else:
        tested = first_of(size_G, order, config.test_fraction)
    part = np.full(len(rows_G), TRAIN, dtype=np.int8)
    part[order[tested]] = TEST
    rest = order[~tested]
    validated = first_of(size_G, rest, config.validation_fraction)
    part[rest[validated]] = VALIDATION
    rest = rest[~validated]
    # Last, from what would train: the other parts do not depend on this fraction.
    part[rest[first_of(size_G, rest, config.tournament_fraction)]] = TOURNAMENT
    return part


def first_of(size_G: Codes, order: Codes, fraction: float) -> npt.NDArray[np.bool_]:
    """Tell which groups, taken in this order, it takes to reach a fraction of all sizes."""
    before = np.cumsum(size_G[order]) - size_G[order]
    # The decimal fraction that was asked for, not its binary neighbour: 0.07 of 100 lines is 7.
    wanted = math.ceil(Fraction(str(fraction)) * int(size_G.sum()))
    first: npt.NDArray[np.bool_] = before < wanted
    return first


def deal_folds(rows_G: Codes, order: Codes, num_folds: int, random: np.random.Generator) -> Codes:
    """Give each group its fold: groups of about equal size go to different folds at random.

    Folds differ by at most one group, and by at most the rows of the largest group.
    """
    by_size = order[np.argsort(-rows_G[order], kind="stable")]
    place = np.arange(len(by_size))
    dealt = by_size[np.lexsort((random.random(len(by_size)), place // num_folds))]
    fold_G = np.empty(len(by_size), dtype=np.int64)
    fold_G[dealt] = place % num_folds
    return fold_G


def _count_unseen(
    dataset: ScreenDataset, compound_D: Codes, part_N: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    drug_NK = dataset.responses.drug_NK
    compound_NK = np.sort(np.where(drug_NK >= 0, compound_D[drug_NK], -1), axis=1)
    train_NK = compound_NK[part_N == TRAIN]
    unseen_D = np.ones(len(compound_D) + 1, dtype=bool)  # the last entry serves empty slots (-1)
    unseen_D[-1] = False
    unseen_D[train_NK[train_NK >= 0]] = False
    new_NK = unseen_D[compound_NK]
    new_NK[:, 1:] &= compound_NK[:, 1:] != compound_NK[:, :-1]
    count: npt.NDArray[np.int8] = new_NK.sum(axis=1).astype(np.int8)
    return count


def _check_parts(split: Split, config: SplitConfig) -> None:
    counts = np.bincount(split.part_N, minlength=len(PARTS))
    wanted = {
        TRAIN: True,
        TOURNAMENT: config.tournament_fraction > 0,
        VALIDATION: config.kind != "file" and config.validation_fraction > 0,
        TEST: config.kind != "file" and (config.num_folds > 0 or config.test_fraction > 0),
    }
    for part, needed in wanted.items():
        if needed and not counts[part]:
            mend = (
                "change data.split.test_fraction, validation_fraction, tournament_fraction or "
                "num_folds"
            )
            if config.kind == "file":
                mend = f"put some rows into '{PARTS[part]}' in {config.file}"
            raise InputError(
                f"the {PARTS[part]} part of the '{config.kind}' split is empty (rows: "
                + ", ".join(f"{name} {n}" for name, n in zip(PARTS, counts, strict=True))
                + f"); {mend}"
            )


def write_split(split: Split, dataset: ScreenDataset, path: Path) -> None:
    """Write the part of every row as Parquet, aside and then renamed.

    The file can be given back as ``data.split.file``.

    Args:
        split: The parts.
        dataset: The screen, for the names.
        path: The file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    schema = _split_table(split, dataset, slice(0)).schema
    try:
        with pq.ParquetWriter(aside, schema, compression="zstd") as writer:
            for start in range(0, len(split.part_N), _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                writer.write_table(_split_table(split, dataset, rows))
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _split_table(split: Split, dataset: ScreenDataset, rows: slice) -> pa.Table:
    responses = dataset.responses
    numbers = np.arange(len(responses))[rows]
    columns = {
        "row": number_column(numbers),
        "cell_id": name_column(responses.cell_N[rows], dataset.cells.ids),
    }
    for k, name in enumerate(drug_columns(responses.num_slots)):
        columns[name] = name_column(responses.drug_NK[rows, k], dataset.drugs.ids)
    columns["part"] = name_column(split.part_N[rows], PARTS)
    columns["unseen_drugs"] = number_column(split.unseen_drugs_N[rows])
    return pa.table(columns)

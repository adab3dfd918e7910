"""Preprocessed matrices of LBANN and CANDLE: a row the features of a cell line and its drugs.

The same cell line stands in thousands of rows and a drug in as many: equal rows of a slice are
folded into one entity. Memory holds the entities and 16 bytes a row.

Shapes: N rows of a file, K drug slots.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.dataset import SourceFile, kind_named, read_dataset
from combo_lightning.data.dataset_writer import DatasetWriter, Target
from combo_lightning.data.entities import Entities, EntityKind, build_entities
from combo_lightning.data.identity import combine_codes, compound_of_drug, compound_sets
from combo_lightning.data.schema import drug_columns
from combo_lightning.data.sources.dense_check import find_cut, refuse_bad
from combo_lightning.data.sources.dense_cut import Cut
from combo_lightning.data.sources.folding import Codes, Fold, Folds, fold
from combo_lightning.data.sources.matrix_file import FloatArray, JoinedMatrix, open_matrix
from combo_lightning.data.sources.raw_text import read_text
from combo_lightning.data.splits import (
    TEST,
    TRAIN,
    UNUSED,
    SplitConfig,
    draw_split,
    split_of,
    write_split,
)
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)

SPLIT = "split.parquet"
_BLOCK = "features"
_ROWS_AT_ONCE = 1 << 16
_LETTERS = {"cell": "C", "drug": "D"}


@dataclass(frozen=True)
class DenseFiles:
    """The files of one part.

    Args:
        features: The matrix; several files stand beside one another.
        responses: The responses; None: in a column of the matrix.
        prefix: What the options' names begin with: "" or "test_".
    """

    features: Sequence[Path]
    responses: Path | None
    prefix: str = ""

    def paths(self) -> list[Path]:
        """Give all files, without the names of arrays in them."""
        named = [*self.features, *([self.responses] if self.responses else [])]
        return [path if path.exists() else Path(str(path).rpartition(":")[0]) for path in named]


@dataclass(frozen=True)
class DenseLayout:
    """Which column is what.

    Args:
        slices: Such as ``cell=0:921``; none: as the files stand beside one another.
        response_column: Name or number of the column of responses; None: the only one there is.
        feature_names: File of the columns' names, one a line; None: as the files head them.
        disjoint: Whether it is meant that the slots share no drug.
    """

    slices: Sequence[str]
    response_column: str | None = None
    feature_names: Path | None = None
    disjoint: bool = False


@dataclass(frozen=True)
class _Part:
    """The rows of one part, folded."""

    cell_N: Codes
    drug_NK: Codes
    response_N: FloatArray


def prepare_dense(
    parts: Sequence[DenseFiles],
    response: str,
    layout: DenseLayout,
    validation_fraction: float,
    target: Target,
) -> Path:
    """Turn a dense matrix into a data set, and, with a second part, into a split.

    Args:
        parts: The training rows, or all; and the test rows, if they stand in files of their own.
        response: What was measured, a name of `schema.RESPONSE_KINDS` without doses.
        layout: Which column is what.
        validation_fraction: Share of all rows to validate on, taken from training; for two parts.
        target: The data set to make; with two parts it holds ``split.parquet``.

    Returns:
        The data set's directory.

    Raises:
        InputError: If a file or the cut does not fit.
    """
    kind = kind_named(response)
    if kind.per_dose:
        raise InputError(
            f"--response: '{response}' needs the dose of every drug, which a dense matrix does "
            "not name; min_growth is growth without doses"
        )
    SplitConfig(validation_fraction=validation_fraction, test_fraction=0).check()
    matrices = [_open(files) for files in parts]
    if len({files.responses is None for files in parts}) > 1:
        raise InputError(
            "--responses and --test_responses go together: give both files, or neither and "
            "--response_column"
        )
    named = layout.response_column
    column = _response_column(matrices[0], named) if parts[0].responses is None else None
    cut = find_cut(matrices, layout.slices, column, disjoint=layout.disjoint)
    names = _feature_names(matrices[0], layout.feature_names)
    folds = Folds.empty(len(cut.drugs), keep=True)
    with target.writer(kind, len(cut.drugs)) as writer:
        folded = [
            _fold_part(matrix, files, cut, folds, column, layout)
            for matrix, files in zip(matrices, parts, strict=True)
        ]
        rows = sum(len(part.cell_N) for part in folded)
        refuse_bad(folds.counts(), rows, cut)
        cells = _entities("cell", folds.cells, [names[i] for i in range(*cut.cell)])
        drugs = _entities("drug", folds.drugs, [names[i] for i in range(*cut.drugs[0])])
        kept = [_append(writer, part, cells.ids, drugs.ids) for part in folded]
        missing = rows - sum(kept)
        stated = _report(folds, rows, missing, cut)
        sources = [SourceFile.of(path) for files in parts for path in files.paths()]
        writer.finish(cells, drugs, sources, {**target.made_by, **stated})
    if len(parts) > 1:
        _write_split(target.out, kept, validation_fraction)
    return target.out


def _open(files: DenseFiles) -> JoinedMatrix:
    option = f"--{files.prefix}features"
    if not files.features:
        raise InputError(f"{option}: name at least one file")
    return JoinedMatrix(tuple(open_matrix(path, option) for path in files.features))


def _response_column(matrix: JoinedMatrix, named: str | None) -> int:
    """Find the column of responses: by name, else by number.

    Raises:
        InputError: If none is named, or there is no such column.
    """
    where = f"{matrix.files[0].option}: {matrix.files[0].path}"
    shown = f"its {matrix.width} columns are {', '.join(matrix.names[:6])} .."
    if named is None:
        raise InputError(
            f"{where} holds the responses in one of its columns, unless --responses names a file; "
            f"give its name or number with --response_column: {shown}"
        )
    if named in matrix.names:
        return matrix.names.index(named)
    number = int(named) if named.removeprefix("-").isdigit() else matrix.width
    if not -matrix.width <= number < matrix.width:
        raise InputError(
            f"{where} has no column '{named}' (--response_column)"
            f"{did_you_mean(named, matrix.names)}; {shown}"
        )
    return number % matrix.width


def _feature_names(matrix: JoinedMatrix, path: Path | None) -> list[str]:
    """Name all columns.

    Raises:
        InputError: If the file of names has more or fewer lines than there are columns.
    """
    if path is None:
        return matrix.names
    names = [line.strip() for line in read_text(path, "--feature_names").split("\n")]
    if len(names) != matrix.width:
        raise InputError(
            f"--feature_names: {path} has {len(names)} lines, and the matrix {matrix.width} "
            "columns; name every column, one a line"
        )
    return [name or str(i) for i, name in enumerate(names)]


def _fold_part(
    matrix: JoinedMatrix,
    files: DenseFiles,
    cut: Cut,
    folds: Folds,
    column: int | None,
    layout: DenseLayout,
) -> _Part:
    """Read one part.

    Raises:
        InputError: If its responses do not fit its rows.
    """
    cells: list[Codes] = []
    drugs: list[Codes] = []
    responses: list[FloatArray] = []
    for cell_R, drug_R, chunk_RC in fold(matrix, cut, folds):
        cells.append(cell_R)
        drugs.append(np.stack(drug_R, axis=1))
        if column is not None:
            responses.append(chunk_RC[:, column].copy())
    if not cells:
        raise InputError(f"{matrix.files[0].option}: {matrix.files[0].path} has no rows")
    cell_N = np.concatenate(cells)
    if files.responses is not None:
        option = f"--{files.prefix}responses"
        source = JoinedMatrix((open_matrix(files.responses, option, flat=True),))
        single = source.width == 1
        wanted = 0 if single else _response_column(source, layout.response_column)
        others = set(range(source.width)) - {wanted}
        responses = [chunk_RC[:, wanted].copy() for chunk_RC in source.chunks(others)]
    else:
        source, wanted = matrix, int(column or 0)
    response_N = np.concatenate(responses or [np.empty(0, dtype=np.float32)])
    if len(response_N) != len(cell_N):
        raise InputError(
            f"{source.files[0].option}: {source.files[0].path} has {len(response_N)} rows, and "
            f"{matrix.files[0].path} has {len(cell_N)}; each row of features needs its response "
            "(a first line of numbers alone is a row, not a header)"
        )
    infinite = np.flatnonzero(np.isinf(response_N))
    if infinite.size:
        raise InputError(
            f"{source.place(int(infinite[0]), wanted)} is infinite, or too large for fp32; a "
            "response is a finite number, or missing (NaN)"
        )
    return _Part(cell_N, np.concatenate(drugs), response_N)


def _entities(kind: EntityKind, folded: Fold, names: Sequence[str]) -> Entities:
    ids = [f"{_LETTERS[kind]}{i}" for i in range(1, len(folded) + 1)]
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    block = FeatureBlock(_BLOCK, tuple(distinct), "as given", np.stack(folded.rows))
    content = [digest.hex() for digest in folded.index]
    return build_entities(kind, ids, {"name": ids, "content": content}, [block])


def _append(writer: DatasetWriter, part: _Part, cells: Sequence[str], drugs: Sequence[str]) -> int:
    """Write the rows that have a response, and count them."""
    kept_N = np.flatnonzero(~np.isnan(part.response_N))

    def named(codes: Codes, ids: Sequence[str]) -> Any:
        return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(ids))

    for start in range(0, len(kept_N), _ROWS_AT_ONCE):
        rows = kept_N[start : start + _ROWS_AT_ONCE]
        slots = drug_columns(part.drug_NK.shape[1])
        columns = {
            "cell_id": named(part.cell_N[rows], cells),
            **{n: named(part.drug_NK[rows, k], drugs) for k, n in enumerate(slots)},
            "response": pa.array(part.response_N[rows]),
        }
        writer.append(pa.table(columns))
    return len(kept_N)


def _report(folds: Folds, rows: int, missing: int, cut: Cut) -> dict[str, Any]:
    counts = folds.counts()
    logger.info(
        "%d rows: %d cell lines of %d features, %d drugs of %d features",
        *(rows, counts.cells, cut.cell[1] - cut.cell[0]),
        *(counts.drugs, cut.drugs[0][1] - cut.drugs[0][0]),
    )
    for code in sorted(folds.drugs.constant):
        logger.warning(
            "D%d has the same value in all its features: if that stands for 'no drug', it is "
            "still taken for a drug",
            code + 1,
        )
    if missing:
        logger.info("dropped %d: missing response", missing)
    return {
        "cut": {name: list(columns) for name, columns in cut.parts().items()},
        "dropped": {"missing response": missing},
    }


def _write_split(out: Path, kept: Sequence[int], validation_fraction: float) -> None:
    """Write a split whose test part is the second part's rows.

    What was measured in both parts (a replicate, the other order of a pair) is unused in training,
    so that nothing of the test part is trained on.

    Raises:
        InputError: If no row is left to train on.
    """
    dataset = read_dataset(out)
    config = SplitConfig(kind="random", test_fraction=0, validation_fraction=validation_fraction)
    part_N: npt.NDArray[np.int8] = draw_split(dataset, config, seed=0).part_N.copy()
    sets = compound_sets(dataset.responses, compound_of_drug(dataset))
    group_N = combine_codes([sets, dataset.responses.cell_N])
    both_N = np.isin(group_N, group_N[kept[0] :])
    part_N[both_N] = UNUSED
    part_N[kept[0] :] = TEST
    if not (part_N == TRAIN).any():
        raise InputError(
            "--test_features: no training row is left, as all combinations of cell line and drugs "
            "stand in the test rows too; the data set without a split is in "
            f"{out}"
        )
    unused = int((part_N == UNUSED).sum())
    if unused:
        logger.warning(
            "%d training rows measured what a test row measured too (a replicate, or the other "
            "order of the pair): they are unused",
            unused,
        )
    write_split(split_of(dataset, part_N), dataset, out / SPLIT)
    logger.info(
        "wrote %s: %d training rows, %d test rows; fit with --data.split.kind file "
        "--data.split.file %s",
        *(out / SPLIT, int((part_N == TRAIN).sum()), kept[1], out / SPLIT),
    )

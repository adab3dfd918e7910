"""Cell lines and drugs: one row an entity, its features in named blocks.

Shapes: E entities, F features of one block.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from combo_lightning.errors import InputError

EntityKind = Literal["cell", "drug"]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FeatureBlock:
    """One kind of measured or computed feature, such as expression or Morgan counts.

    Args:
        name: Name of the block; a column of the entity table.
        feature_names: F distinct names, in the order of the columns.
        unit: Unit of every value, such as ``log2 intensity`` or ``count``.
        values_EF: Values, float32 ``[E, F]``; NaN where missing. A row of NaN: the entity was not
            measured at all.
        recipe: How chemistry computed the block (so that new drugs get the same one); empty for
            measured blocks. Plain strings and numbers.
    """

    name: str
    feature_names: tuple[str, ...]
    unit: str
    values_EF: FloatArray
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values_EF.ndim != 2 or self.values_EF.shape[1] != len(self.feature_names):
            raise InputError(
                f"block '{self.name}' has values of shape {list(self.values_EF.shape)} and "
                f"{len(self.feature_names)} feature names; one name a column is needed"
            )
        if len(set(self.feature_names)) != len(self.feature_names):
            seen: set[str] = set()
            twice = next(n for n in self.feature_names if n in seen or seen.add(n))  # type: ignore[func-returns-value]
            raise InputError(f"block '{self.name}' names the feature '{twice}' more than once")
        infinite = np.argwhere(np.isinf(self.values_EF))
        if infinite.size:
            row, column = (int(i) for i in infinite[0])
            raise InputError(
                f"block '{self.name}', entity {row}, feature '{self.feature_names[column]}' is "
                "infinite; give a finite number or leave it empty"
            )


@dataclass(frozen=True)
class Entities:
    """All cell lines, or all drugs, of a data set.

    Args:
        kind: ``"cell"`` or ``"drug"``.
        ids: E distinct identifiers, such as ``MCF7`` or the NSC number ``740``.
        annotations: Plain columns, one row an entity, index 0..E-1. Cells: ``name``, ``tissue``;
            drugs: ``name``, ``smiles``, ``inchikey``; both: ``synonyms`` (list of str). Missing is
            None. Others are kept as they are.
        blocks: Feature blocks by name.
    """

    kind: EntityKind
    ids: tuple[str, ...]
    annotations: pd.DataFrame
    blocks: Mapping[str, FeatureBlock]

    def __post_init__(self) -> None:
        if len(set(self.ids)) != len(self.ids):
            seen: set[str] = set()
            twice = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise InputError(f"the {self.kind} '{twice}' stands twice in the {self.kind} table")
        lengths = {"annotations": len(self.annotations)} | {
            name: len(block.values_EF) for name, block in self.blocks.items()
        }
        for name, length in lengths.items():
            if length != len(self.ids):
                raise InputError(
                    f"'{name}' has {length} rows for {len(self.ids)} {self.kind} entities"
                )

    def __len__(self) -> int:
        return len(self.ids)

    def annotation(self, column: str) -> list[str | None]:
        """Read one plain text column; None where the column or its value is missing."""
        if column not in self.annotations:
            return [None] * len(self)
        return [None if pd.isna(v) else str(v) for v in self.annotations[column]]

    def synonyms(self) -> list[list[str]]:
        """Read the other names of each entity; empty lists where none are known."""
        if "synonyms" not in self.annotations:
            return [[] for _ in self.ids]
        return [list(v) if v is not None else [] for v in self.annotations["synonyms"]]


def entities_to_table(entities: Entities) -> pa.Table:
    """Lay entities out as an Arrow table, one fixed-size-list column a block.

    A row of a block that is all missing is stored as null, a single missing value as a null
    element.
    """
    columns: list[Any] = [pa.array(entities.ids, pa.string())]
    fields: list[Any] = [pa.field(f"{entities.kind}_id", pa.string(), nullable=False)]
    for name, values in entities.annotations.items():
        kind = pa.list_(pa.string()) if name == "synonyms" else None
        columns.append(pa.Array.from_pandas(values, type=kind))
        fields.append(pa.field(str(name), columns[-1].type))
    for block in entities.blocks.values():
        missing_EF = np.isnan(block.values_EF)
        flat = pa.array(block.values_EF.ravel(), pa.float32(), mask=missing_EF.ravel())
        width = len(block.feature_names)
        columns.append(
            pa.FixedSizeListArray.from_arrays(
                flat, width, mask=pa.array(missing_EF.all(axis=1) if width else [])
            )
        )
        described = {
            "feature_names": list(block.feature_names),
            "unit": block.unit,
            "recipe": dict(block.recipe),
        }
        fields.append(
            pa.field(block.name, columns[-1].type, metadata={"block": json.dumps(described)})
        )
    return pa.table(columns, schema=pa.schema(fields))


def entities_from_table(table: pa.Table, kind: EntityKind, path: Path) -> Entities:
    """Read entities back from the layout of `entities_to_table`.

    Args:
        table: The table.
        kind: ``"cell"`` or ``"drug"``.
        path: The file it came from, for messages.

    Raises:
        InputError: If the table is not of that layout.
    """
    id_column = f"{kind}_id"
    if id_column not in table.column_names:
        raise InputError(f"{path} has no column '{id_column}'; it is no table of {kind}s")
    annotations: dict[str, list[Any]] = {}
    blocks: dict[str, FeatureBlock] = {}
    for column_field in table.schema:
        if column_field.name == id_column:
            continue
        column = table.column(column_field.name).combine_chunks()
        described = (column_field.metadata or {}).get(b"block")
        if described is None:
            annotations[column_field.name] = column.to_pylist()
            continue
        block = json.loads(described)
        width = column_field.type.list_size
        # `fill_null` does not reach into fixed-size lists: take the flat values and lay NaN over
        # the rows that are null as a whole.
        flat = np.array(column.values.to_numpy(zero_copy_only=False), dtype=np.float32)
        values_EF = flat.reshape(-1, width)[column.offset : column.offset + len(column)]
        values_EF[column.is_null().to_numpy(zero_copy_only=False)] = np.nan
        blocks[column_field.name] = FeatureBlock(
            name=column_field.name,
            feature_names=tuple(block["feature_names"]),
            unit=block["unit"],
            values_EF=values_EF,
            recipe=block["recipe"],
        )
    ids = tuple(table.column(id_column).to_pylist())
    frame = pd.DataFrame(annotations, index=range(len(ids)), dtype=object)
    return Entities(kind=kind, ids=ids, annotations=frame, blocks=blocks)


def write_entities(entities: Entities, path: Path) -> None:
    """Write one entity table as Parquet."""
    pq.write_table(entities_to_table(entities), path, compression="zstd")


def read_entities(path: Path, kind: EntityKind) -> Entities:
    """Read one entity table.

    Raises:
        InputError: If the file is no Parquet file or not of the entity layout.
    """
    try:
        table = pq.read_table(path, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"cannot read {path} as Parquet: {error}") from error
    return entities_from_table(table, kind, path)


def build_entities(
    kind: EntityKind,
    ids: Sequence[str],
    annotations: Mapping[str, Sequence[Any]],
    blocks: Sequence[FeatureBlock],
) -> Entities:
    """Put entities together from plain columns; see `Entities` for the meaning of each."""
    frame = pd.DataFrame(dict(annotations), index=range(len(ids)), dtype=object)
    return Entities(
        kind=kind, ids=tuple(ids), annotations=frame, blocks={b.name: b for b in blocks}
    )

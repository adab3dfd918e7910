"""Writing a data set: aside first, renamed into place when it is whole."""

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from combo_lightning import __version__
from combo_lightning.data.dataset import MANIFEST, RESPONSES, TABLES, SourceFile, sha256_of
from combo_lightning.data.entities import Entities, write_entities
from combo_lightning.data.plausibility import Plausibility
from combo_lightning.data.schema import (
    SCHEMA_VERSION,
    ResponseKind,
    dose_columns,
    drug_columns,
    response_schema,
)
from combo_lightning.errors import InputError


@dataclass(frozen=True)
class Target:
    """The data set that a command makes.

    Args:
        out: Its directory.
        made_by: The command, for the manifest.
        overwrite: Replace a data set that is there.
        accept: Checks of `plausibility.CHECKS` to pass over.
    """

    out: Path
    made_by: Mapping[str, Any] = field(default_factory=dict)
    overwrite: bool = False
    accept: Sequence[str] = ()

    def writer(self, kind: ResponseKind, num_slots: int) -> "DatasetWriter":
        """Give the writer of the data set; see `DatasetWriter`."""
        return DatasetWriter(
            self.out, kind, num_slots, overwrite=self.overwrite, accept=self.accept
        )


class DatasetWriter:
    """Write a data set aside, and rename it into place when it is whole.

    Use as a context manager: append rows, then `finish`. Leaving without `finish` removes what
    was written.

    Args:
        out: Directory to make.
        kind: What the responses are.
        num_slots: K, the most drugs that one row combines.
        overwrite: Replace a data set that stands there already (only a data set, never another
            directory).
        accept: Checks of `plausibility.CHECKS` to pass over.

    Raises:
        InputError: If `out` exists and may not be replaced, or cannot be written.
    """

    def __init__(
        self,
        out: Path,
        kind: ResponseKind,
        num_slots: int,
        *,
        overwrite: bool = False,
        accept: Sequence[str] = (),
    ) -> None:
        self._plausibility = Plausibility(kind, num_slots, accept)
        self._out = Path(out)
        self._kind = kind
        self._schema = response_schema(num_slots)
        self._num_slots = num_slots
        self._rows = 0
        self._ids: dict[str, set[str]] = {"cell": set(), "drug": set()}
        if self._out.exists():
            if not overwrite:
                raise InputError(f"{out} exists already; choose another name or add --overwrite")
            if not (self._out / MANIFEST).is_file() and any(self._out.iterdir()):
                raise InputError(f"{out} is not a data set ({MANIFEST} is missing); not replaced")
        self._aside = self._out.parent / f".{self._out.name}.partial-{uuid.uuid4().hex[:8]}"
        try:
            self._aside.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"cannot write in {self._out.parent}: {error.strerror}") from error
        self._parquet: Any = None

    def __enter__(self) -> "DatasetWriter":
        self._parquet = pq.ParquetWriter(self._aside / RESPONSES, self._schema, compression="zstd")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._parquet is not None:
            self._parquet.close()
            self._parquet = None
        if self._aside.exists():
            shutil.rmtree(self._aside, ignore_errors=True)

    def append(self, rows: pd.DataFrame | pa.Table) -> None:
        """Append measurements.

        Args:
            rows: Columns ``cell_id``, ``drug_1..K`` and ``response``; ``log10_molar_1..K`` where
                the response is per dose; ``weight`` (default 1) and ``study`` (default null). The
                checks of `plausibility` read ``place`` and ``plate`` too.

        Raises:
            InputError: If a response, weight or dose is not finite, a weight is negative, a row
                has no drug, or a dose is missing or stands without its drug.
        """
        if isinstance(rows, pd.DataFrame):
            rows = pa.Table.from_pandas(rows, preserve_index=False)
        given: Any = rows
        count = len(given)
        columns = []
        for column in self._schema:
            if column.name in given.column_names:
                columns.append(given.column(column.name).cast(column.type))
            elif column.name == "weight":
                columns.append(pa.array(np.ones(count, dtype=np.float32)))
            else:
                columns.append(pa.nulls(count, column.type))
        table: Any = pa.table(columns, schema=self._schema)
        self._check(table)
        seen = table
        for name in {"place", "plate"} & set(given.column_names):
            seen = seen.append_column(name, given.column(name))
        self._plausibility.see(seen)
        for kind, names in (("cell", ["cell_id"]), ("drug", drug_columns(self._num_slots))):
            for name in names:
                used = pc.unique(table.column(name).cast(pa.string())).to_pylist()
                self._ids[kind].update(value for value in used if value is not None)
        self._parquet.write_table(table)
        self._rows += count

    def _check(self, table: pa.Table) -> None:
        for name in ("response", "weight"):
            values = table.column(name).to_numpy()
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                row = self._rows + int(bad[0])
                raise InputError(
                    f"row {row}: {name} is {values[bad[0]]}; every {name} must be a finite number"
                )
        if (table.column("weight").to_numpy() < 0).any():
            raise InputError("a weight is negative; weights must be 0 or more")
        drugs = [table.column(n).is_valid().to_numpy() for n in drug_columns(self._num_slots)]
        if not np.logical_or.reduce(drugs).all():
            raise InputError("a row has no drug in any slot; every row needs at least one")
        for drug, name in zip(drugs, dose_columns(self._num_slots), strict=True):
            dose = table.column(name).to_numpy(zero_copy_only=False)
            wanted = drug if self._kind.per_dose else np.zeros_like(drug)
            bad = np.flatnonzero(np.isfinite(dose) != wanted)
            if bad.size:
                row = self._rows + int(bad[0])
                raise InputError(
                    f"row {row}: {name} is {dose[bad[0]]}; a '{self._kind.name}' response needs "
                    + ("one finite dose for each drug" if self._kind.per_dose else "no doses")
                )

    def rename_drugs(self, names: Mapping[str, str]) -> int:
        """Give drugs of the rows that are written other ids.

        Args:
            names: Old id to new id.

        Returns:
            How many rows then hold a drug twice that held two.
        """
        twice = 0
        self._parquet.close()
        path = self._aside / RESPONSES
        written = pq.ParquetFile(path)
        path.unlink()  # it is read on, while the new one is written under its name
        self._parquet = pq.ParquetWriter(path, self._schema, compression="zstd")
        old, new = pa.array(list(names), pa.string()), pa.array(list(names.values()), pa.string())
        for batch in written.iter_batches():
            table = pa.Table.from_batches([batch])
            before = _equal_slots(table, self._num_slots)
            for name in drug_columns(self._num_slots):
                ids = table.column(name).cast(pa.string())
                renamed = pc.coalesce(new.take(pc.index_in(ids, value_set=old)), ids)
                place = table.schema.get_field_index(name)
                table = table.set_column(place, name, renamed)
            table = table.cast(self._schema)
            twice += int((_equal_slots(table, self._num_slots) & ~before).sum())
            self._parquet.write_table(table)
        self._ids["drug"] = {names.get(drug, drug) for drug in self._ids["drug"]}
        return twice

    def finish(
        self,
        cells: Entities,
        drugs: Entities,
        sources: Sequence[SourceFile],
        made_by: Mapping[str, Any],
    ) -> Path:
        """Write the entity tables and the manifest, then rename the directory into place.

        Args:
            cells: Every cell line that a row names (others are kept too).
            drugs: Every drug that a row names (others are kept too).
            sources: The raw files.
            made_by: How it was made: command, options, counts of dropped rows. Plain values.

        Returns:
            The data set's directory.

        Raises:
            InputError: If there are no rows, a row names an unknown cell line or drug, or the
                measurements are implausible.
        """
        if not self._rows:
            raise InputError(f"no measurement is left to write to {self._out}")
        self._plausibility.judge()
        for entities in (cells, drugs):
            unknown = sorted(self._ids[entities.kind] - set(entities.ids))
            if unknown:
                raise InputError(
                    f"{len(unknown)} {entities.kind} ids of the responses are not in the "
                    f"{entities.kind} table: {', '.join(unknown[:5])}"
                )
            write_entities(entities, self._aside / TABLES[entities.kind])
        self._parquet.close()
        self._parquet = None
        counts = {"responses": self._rows, "cells": len(cells), "drugs": len(drugs)}
        names = {"responses": RESPONSES, "cells": TABLES["cell"], "drugs": TABLES["drug"]}
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "package_version": __version__,
            "response": asdict(self._kind),
            "num_slots": self._num_slots,
            "tables": {
                table: {
                    "file": names[table],
                    "rows": counts[table],
                    "sha256": sha256_of(self._aside / names[table]),
                }
                for table in names
            },
            "blocks": {
                entities.kind: {
                    b.name: {"features": len(b.feature_names), "unit": b.unit}
                    for b in entities.blocks.values()
                }
                for entities in (cells, drugs)
            },
            "sources": [asdict(source) for source in sources],
            "made_by": dict(made_by),
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        (self._aside / MANIFEST).write_text(text + "\n", encoding="utf-8")
        if self._out.exists():
            shutil.rmtree(self._out)
        os.replace(self._aside, self._out)
        return self._out


def _equal_slots(table: Any, num_slots: int) -> npt.NDArray[np.bool_]:
    """Tell which rows hold a drug in two slots."""
    slots = [table.column(name).cast(pa.string()) for name in drug_columns(num_slots)]
    equal = np.zeros(len(table), dtype=bool)
    for one, other in combinations(slots, 2):
        same = pc.equal(one, other).fill_null(False)  # noqa: FBT003  Arrow's
        equal |= same.to_numpy()
    return equal

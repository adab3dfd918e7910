"""A library of drugs given as structures: read, featurised and encoded in a stream.

Features never stand in memory or on disk as a whole: each chunk of drugs is encoded at once, and
only what the join needs of a drug is kept, in files beside the screen's output. A library that
was stopped half way goes on at its last whole chunk.

Shapes: E drugs, J width of a projected drug.
"""

import json
import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from combo_lightning.data.chemistry import Featurised, Recipe, check_recipes, featurise
from combo_lightning.data.sources.drug_lists import read_smiles_lines
from combo_lightning.data.sources.drug_sdf import read_sdf
from combo_lightning.data.sources.drugs import drug_format
from combo_lightning.data.transforms import apply_blocks
from combo_lightning.errors import InputError
from combo_lightning.inference.predictor import Predictor
from combo_lightning.inference.tables import NAME_COLUMNS, read_batches
from combo_lightning.model.combo import ComboModel, Encoded
from combo_lightning.model.encoder import EntityTable

logger = logging.getLogger(__name__)

# Descriptors of a drug take 10 ms: from one such chunk on every core computes them.
CHUNK = 512
SECONDS_BETWEEN_LINES = 30.0


class Entry(NamedTuple):
    """A row of a library; `smiles` is empty where the file has none that can be read."""

    row: int
    name: str
    smiles: str
    problem: str = ""


class Read(NamedTuple):
    """What became of a row.

    Args:
        row: Its number in the file, from 0.
        name: The drug's name.
        drug: Row of the drug in the encoded tables; -1: skipped.
        problem: Why it was skipped; empty where it was not.
    """

    row: int
    name: str
    drug: int
    problem: str


def read_library(path: Path) -> Iterator[Entry]:
    """Read a library row by row.

    Args:
        path: A SMILES list (SMILES, white space, name; a drug without a name is called by its
            SMILES), an SDF file, or CSV, TSV, Parquet with a name column and ``smiles``.

    Raises:
        InputError: If it is missing, damaged or lacks a column.
    """
    kind, _ = drug_format(path, "--drugs")
    if kind == "smiles":
        for row, line in enumerate(read_smiles_lines(path, "--drugs")):
            yield Entry(row, line.name or line.smiles, line.smiles)
        return
    if kind == "sdf":
        for drug in read_sdf(path, "--drugs"):
            yield Entry(drug.row, drug.identifier, drug.smiles, drug.problem)
        return
    row = 0
    for batch in read_batches(path, "--drugs"):
        lower = {name.lower(): name for name in batch.schema.names}
        name = next((lower[c] for c in NAME_COLUMNS if c in lower), None)
        if name is None or "smiles" not in lower:
            raise InputError(
                f"--drugs: {path} has no column '{'smiles' if name else 'name'}'; it has "
                f"{', '.join(batch.schema.names[:8])}"
            )
        names = batch.column(name).to_pylist()
        for label, smiles in zip(names, batch.column(lower["smiles"]).to_pylist(), strict=True):
            text = str(smiles or "").strip()
            yield Entry(row, str(label or "").strip() or text, text)
            row += 1


class DrugStore:
    """All drugs of a screen, encoded and projected, in files that are mapped into memory.

    The model's known drugs come first, in their order, as in a `Predictor`.

    Args:
        predictor: The model.
        folder: Where the files stand.
    """

    def __init__(self, predictor: Predictor, folder: Path) -> None:
        self.predictor = predictor
        join = predictor.network.join
        self._width = sum(join.drug_parts) * (1 if join.gate is None else 2)
        # Of each network one file a slot with weights of its own.
        self._by_network = [
            [folder / f"drugs-{m}-{k}.float32" for k in range(len(join.drug))]
            for m in range(len(predictor.members.networks))
        ]
        self._files = [file for files in self._by_network for file in files]
        self._log = folder / "library.jsonl"
        self.rows: list[Read] = []
        self.count = len(predictor.drugs.ids)

    def fill(self, library: Path | None) -> None:
        """Encode the known drugs and those of a library; what is there already is kept.

        Raises:
            InputError: If the library cannot be read, or the model's drug features cannot be
                computed from structures.
        """
        known = self.count
        self.rows = self._read_log()
        self.count = max([known, *(row.drug + 1 for row in self.rows)])
        if not self._truncate():
            self.rows, self.count = [], known
            for file in self._files:
                file.unlink(missing_ok=True)
            self._log.unlink(missing_ok=True)
            self._encode(self.predictor.drugs.table())
        if library is not None:
            recipes = self.predictor.drug_recipes()
            check_recipes(recipes)
            self._read(library, recipes)

    def _read_log(self) -> list[Read]:
        if not self._log.is_file():
            return []
        rows = []
        for line in self._log.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):  # the last one may be torn
                rows.append(Read(*json.loads(line)))
        return rows

    def _truncate(self) -> bool:
        """Cut the files to the drugs that the log knows; tell whether they were long enough."""
        size = self.count * self._width * 4
        for file in self._files:
            if not file.is_file() or file.stat().st_size < size:
                return False
            os.truncate(file, size)
        # A torn line would be glued to the next one.
        self._log.write_text("".join(json.dumps(row) + "\n" for row in self.rows), "utf-8")
        return True

    def _encode(self, table: EntityTable) -> None:
        for network, files in zip(self.predictor.members.networks, self._by_network, strict=True):
            with torch.inference_mode():
                encoded = network.encode(_nobody(network.sizes.cell_features), table)
            for k, file in enumerate(files):
                with file.open("ab") as out:
                    out.write(encoded.drug_KEX[k][:-1].contiguous().numpy().data)

    def _read(self, library: Path, recipes: Sequence[Recipe]) -> None:
        group = self.predictor.catalog.drugs.group
        known = {key: i for i, key in reversed(list(enumerate(group))) if key}
        places = {row.name: row for row in self.rows if row.drug >= 0}
        entries = islice(read_library(library), len(self.rows), None)
        start = said = time.monotonic()
        done = 0
        for chunk, found in _featurised(entries, recipes):
            new: list[Read] = []
            wanted: list[int] = []  # of the readable drugs, those to encode
            readable = 0
            for entry, key, problem in zip(chunk, found.keys, found.problems, strict=True):
                # What can be read has a row in the blocks, used or not.
                place, readable = readable, readable + (not problem)
                taken = self.predictor.drugs.names.get(entry.name)
                problem = entry.problem or problem
                if entry.name in places:
                    problem = f"row {places[entry.name].row} has this name already"
                elif not problem and taken is not None and known.get(key) != taken:
                    problem = f"the model knows another drug of this name, '{entry.name}'"
                drug = -1
                if not problem:
                    drug = known.get(key, self.count + len(wanted))
                    if key not in known:
                        wanted.append(place)
                new.append(Read(entry.row, entry.name, drug, problem))
                if not problem:
                    places[entry.name] = new[-1]
            features = apply_blocks(self.predictor.catalog.drugs.blocks, found.blocks, readable)
            chosen = torch.from_numpy(features[wanted])
            self._encode(EntityTable(chosen, torch.full((len(wanted),), -1)))
            with self._log.open("a", encoding="utf-8") as log:
                log.writelines(json.dumps(row) + "\n" for row in new)
            self.rows += new
            self.count += len(wanted)
            done += len(chunk)
            if time.monotonic() - said > SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                logger.info("%d drugs read, %.0f a second", done, done / (said - start))

    def encoded(self) -> list[Encoded]:
        """Give the cell lines, and all drugs mapped into memory, for each network's `respond`."""
        networks = self.predictor.members.networks
        return [self._encoded(*x) for x in zip(networks, self._by_network, strict=True)]

    def _encoded(self, network: ComboModel, files: Sequence[Path]) -> Encoded:
        predictor = self.predictor
        with torch.inference_mode():
            nobody = _nobody(network.sizes.drug_features)
            cells = network.encode(predictor.cells.table(), nobody)
        rows = self.count + 1
        for file in files:
            os.truncate(file, rows * self._width * 4)  # the empty slot: zeros
        # Private: nothing that reads the tables can change the files.
        tables: list[Tensor] = [
            torch.from_file(
                str(file), shared=False, size=rows * self._width, dtype=torch.float32
            ).view(rows, self._width)
            for file in files
        ]
        id_E = torch.arange(rows)
        id_E[len(predictor.drugs.known.ids) :] = -1
        slots = network.sizes.num_slots
        return cells._replace(drug_KEX=tables * (slots // len(tables)), drug_id_E=id_E)


def _nobody(features: int) -> EntityTable:
    return EntityTable(torch.empty(0, features), torch.empty(0, dtype=torch.int64))


def _featurised(
    entries: Iterator[Entry], recipes: Sequence[Recipe]
) -> Iterator[tuple[list[Entry], Featurised]]:
    """Compute the features chunk by chunk, a large library on all cores; in the file's order."""
    head = list(islice(entries, CHUNK))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if len(head) < CHUNK or (cores or 1) < 2:
        while head:
            yield head, featurise(recipes, [e.smiles for e in head], [e.name for e in head])
            head = list(islice(entries, CHUNK))
        return
    # Spawned: a fork of a process with running OpenMP threads may hang.
    context = multiprocessing.get_context("spawn")
    waiting: deque[tuple[list[Entry], Future[Featurised]]] = deque()
    quiet = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops this process, which ends them
    with ProcessPoolExecutor(cores, context, signal.signal, quiet) as pool:
        while head or waiting:
            while head and len(waiting) < 2 * (cores or 1):
                smiles, names = [e.smiles for e in head], [e.name for e in head]
                waiting.append((head, pool.submit(featurise, recipes, smiles, names)))
                head = list(islice(entries, CHUNK))
            chunk, answer = waiting.popleft()
            yield chunk, answer.result()

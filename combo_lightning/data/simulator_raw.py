"""A simulated screen as NCI ships it: dose-level wells in the columns of ``ComboDrugGrowth``.

Shapes: N wells of one study.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from combo_lightning.data.growth import expected_growth, percent_growth, score
from combo_lightning.data.simulator import DOSE_STEPS, Simulation, SimulationConfig, simulate
from combo_lightning.errors import InputError

HEADER = (
    "COMBODRUGSEQ,SCREENER,STUDY,TESTDATE,PLATE,PANELNBR,CELLNBR,PREFIX1,NSC1,SAMPLE1,CONCINDEX1,"
    "CONC1,CONCUNIT1,PREFIX2,NSC2,SAMPLE2,CONCINDEX2,CONC2,CONCUNIT2,PERCENTGROWTH,"
    "PERCENTGROWTHNOTZ,TESTVALUE,CONTROLVALUE,TZVALUE,EXPECTEDGROWTH,SCORE,VALID,PANEL,CELLNAME"
)
WELLS = "ComboDrugGrowth.csv"
# Optical densities of a plate without drug, at its end and at its start.
CONTROL, TIME_ZERO = 2_000_000.0, 600_000.0
# One well in so many was marked invalid by the screener.
INVALID_EVERY = 5000

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def write_raw(config: SimulationConfig, out: Path, *, overwrite: bool) -> int:
    """Write a folder of raw files: wells in NCI's layout, drugs, cell lines, expression.

    Wells are written a study (one NSC1 with its partners) at a time. Each study holds its drugs'
    single-agent wells too, from which EXPECTEDGROWTH follows by modified Bliss and SCORE by the
    published rounding. Like the real file it repeats its header line, ends in a 0x1A, and has
    wells whose VALID is not Y and wells of screener 1A.

    Args:
        config: What to simulate; two slots. Every well of a combination is written, whatever its
            response.
        out: The folder to make: ``ComboDrugGrowth.csv``, ``drugs.csv``, ``cells.csv`` and
            ``expression.parquet``.
        overwrite: Replace such a folder.

    Returns:
        The number of wells.

    Raises:
        InputError: If `out` is there, or the configuration does not fit the layout.
    """
    if config.num_slots != 2:
        raise InputError("NCI's layout holds two drugs a well; use --slots 2")
    # One row a combination: its wells, and single drugs, are laid out here.
    simulation = simulate(replace(config, response="combo_score", single_share=0.0))
    wells = 0
    plain = pacsv.WriteOptions(include_header=False, quoting_style="none")
    with raw_folder(out, WELLS, overwrite=overwrite) as aside:
        with (aside / WELLS).open("wb") as file:
            file.write(f"{HEADER}\n".encode())
            for number, table in enumerate(_studies(simulation)):
                if number == 1:
                    file.write(f"{HEADER}\n".encode())
                pacsv.write_csv(table, file, write_options=plain)
                wells += len(table)
            file.write(b"\x1a\n")
        _write_entities(simulation, aside)
    return wells


@contextmanager
def raw_folder(out: Path, marker: str, *, overwrite: bool) -> Iterator[Path]:
    """Make a folder of raw files aside, and rename it when it is whole.

    Args:
        out: The folder to make.
        marker: A file that such a folder holds; what holds none is not replaced.
        overwrite: Replace such a folder.

    Yields:
        Where to write.

    Raises:
        InputError: If `out` is there and may not be replaced.
    """
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists already; choose another name or add --overwrite true")
    if out.exists() and not (out / marker).is_file():
        raise InputError(f"{out} holds something else; choose another name")
    aside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        shutil.rmtree(out, ignore_errors=True)
        os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_entities(simulation: Simulation, folder: Path) -> None:
    cells, drugs = simulation.cells, simulation.drugs
    tissue, smiles = cells.annotation("tissue"), drugs.annotation("smiles")
    pacsv.write_csv(pa.table({"CELLNAME": list(cells.ids), "PANEL": tissue}), folder / "cells.csv")
    named = {"NSC": list(drugs.ids), "NAME": drugs.annotation("name")}
    pacsv.write_csv(pa.table({**named, "SMILES": smiles}), folder / "drugs.csv")
    block = cells.blocks["expression"]
    columns = {"CELL": pa.array(cells.ids)}
    for name, values in zip(block.feature_names, block.values_EF.T, strict=True):
        columns[name] = pa.array(values, from_pandas=True)
    pq.write_table(pa.table(columns), folder / "expression.parquet")


@dataclass(frozen=True)
class _Wells:
    """The wells of one study, single-agent wells first.

    Args:
        cell_N: Cell line.
        drug_N2: Drugs; -1: none.
        step_N2: Number of the dose, from 0.
        dose_N2: log10 molar.
        singles: How many wells are single-agent.
    """

    cell_N: Codes
    drug_N2: Codes
    step_N2: Codes
    dose_N2: Floats
    singles: int

    @property
    def pair_N(self) -> Mask:
        """Whether a well holds two drugs."""
        return np.arange(len(self.cell_N)) >= self.singles


def _studies(simulation: Simulation) -> Iterator[Any]:
    draw = np.random.default_rng([simulation.config.seed, 9])
    sequence = 1
    first_N = simulation.drug_NK[:, 0]
    order = np.argsort(first_N, kind="stable")
    starts = np.flatnonzero(np.diff(first_N[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        wells = _lay_out(simulation, rows)
        measured = _measure(simulation, wells, draw)
        yield _table(simulation, sequence, wells, measured)
        sequence += len(wells.cell_N)


def _lay_out(simulation: Simulation, rows: Codes) -> _Wells:
    """Lay out each combination's wells, and each of its drugs alone in each of its lines."""
    num_drugs, num_steps = len(simulation.drugs), len(DOSE_STEPS)
    pair_R2, cell_R = simulation.drug_NK[rows], simulation.cell_N[rows]
    agents = np.unique(np.concatenate([cell_R * num_drugs + drug_R for drug_R in pair_R2.T]))
    single_drug = np.repeat(agents % num_drugs, num_steps)
    single_step = np.tile(np.arange(num_steps), len(agents))
    grid = np.array(list(product(range(num_steps), repeat=2)))
    alone = np.stack([single_drug, np.full_like(single_drug, -1)], axis=1)
    lowest = np.stack([single_step, np.zeros_like(single_step)], axis=1)
    drug_N2 = np.concatenate([alone, np.repeat(pair_R2, len(grid), axis=0)])
    step_N2 = np.concatenate([lowest, np.tile(grid, (len(rows), 1))])
    return _Wells(
        np.concatenate([np.repeat(agents // num_drugs, num_steps), np.repeat(cell_R, len(grid))]),
        drug_N2,
        step_N2,
        simulation.truth.middle_D[drug_N2] + np.array(DOSE_STEPS)[step_N2],
        len(single_drug),
    )


def _measure(
    simulation: Simulation, wells: _Wells, draw: np.random.Generator
) -> dict[str, Floats]:
    """Measure optical densities with noise, and compute from them what the file states."""
    cell_N, drug_N2, step_N2, singles = wells.cell_N, wells.drug_N2, wells.step_N2, wells.singles
    true_N, _ = simulation.truth.growth(cell_N, drug_N2, wells.dose_N2)
    noise = np.sqrt(true_N.var() * (1 / simulation.config.ceiling_r2 - 1))
    noisy_N = np.clip(true_N + noise * draw.normal(size=len(true_N)), -99, 200)
    gain_N = np.where(noisy_N >= 0, CONTROL - TIME_ZERO, TIME_ZERO)
    treated_N = np.round(TIME_ZERO + noisy_N / 100 * gain_N)
    control_N, start_N = np.full_like(treated_N, CONTROL), np.full_like(treated_N, TIME_ZERO)
    growth_N = np.round(percent_growth(treated_N, control_N, start_N), 3)
    # The measured single-agent growth of each (line, drug, dose), found by its place.
    sizes = (len(simulation.cells), len(simulation.drugs), len(DOSE_STEPS))
    place = np.full(sizes, -1, dtype=np.int64)
    place[cell_N[:singles], drug_N2[:singles, 0], step_N2[:singles, 0]] = np.arange(singles)
    alone = [growth_N[place[cell_N, drug_N2[:, k], step_N2[:, k]]] for k in range(2)]
    expected_N = np.round(expected_growth(np.stack(alone, axis=1)), 3)
    return {
        "PERCENTGROWTH": growth_N,
        "TESTVALUE": treated_N,
        "CONTROLVALUE": control_N,
        "TZVALUE": start_N,
        "PERCENTGROWTHNOTZ": np.round(100 * treated_N / control_N, 2),
        "EXPECTEDGROWTH": np.where(wells.pair_N, expected_N, np.nan),
        "SCORE": np.where(wells.pair_N, score(expected_N, growth_N), np.nan),
    }


def _table(
    simulation: Simulation, sequence: int, wells: _Wells, measured: dict[str, Floats]
) -> Any:
    """Put the columns of one study together."""
    cell_N, drug_N2, step_N2, pair_N = wells.cell_N, wells.drug_N2, wells.step_N2, wells.pair_N
    number = np.arange(sequence, sequence + len(cell_N))
    study = f"SIM{simulation.drugs.ids[drug_N2[-1, 0]]}"
    ids, cell_ids = pa.array(simulation.drugs.ids), list(simulation.cells.ids)
    tissues = [f"{tissue} Cancer" for tissue in simulation.cells.annotation("tissue")]
    # Screener 1A states no growth without time zero, and numbers its lowest single dose -1.
    at_1a = cell_N % 2 == 1
    extra = at_1a & ~pair_N & (step_N2[:, 0] == 0)
    every = np.ones_like(pair_N)
    columns = {
        "COMBODRUGSEQ": pa.array(number),
        "SCREENER": _chosen(["FF", "1A"], at_1a),
        "STUDY": _constant(study, every),
        "TESTDATE": _constant("07/07/2011", every),
        "PLATE": _chosen([f"{study}{name}" for name in cell_ids], cell_N),
        "PANELNBR": pa.array(cell_N % 12),
        "CELLNBR": pa.array(cell_N),
        "PREFIX1": _constant("S", ~at_1a),
        "NSC1": _chosen(ids, drug_N2[:, 0]),
        "SAMPLE1": pa.array(drug_N2[:, 0]),
        "CONCINDEX1": pa.array(np.where(extra, -1, step_N2[:, 0] + 1)),
        "CONC1": _numbers(_molar(wells.dose_N2[:, 0]), every),
        "CONCUNIT1": _constant("M", every),
        "PREFIX2": _constant("S", pair_N & ~at_1a),
        "NSC2": _chosen(ids, drug_N2[:, 1]),
        "SAMPLE2": _numbers(drug_N2[:, 1], pair_N),
        "CONCINDEX2": pa.array(np.where(pair_N, step_N2[:, 1] + 1, 0)),
        "CONC2": _numbers(_molar(wells.dose_N2[:, 1]), pair_N),
        "CONCUNIT2": _constant("M", pair_N),
        "PERCENTGROWTH": _numbers(measured["PERCENTGROWTH"], every),
        "PERCENTGROWTHNOTZ": _numbers(measured["PERCENTGROWTHNOTZ"], ~at_1a),
        "EXPECTEDGROWTH": _numbers(measured["EXPECTEDGROWTH"], pair_N),
        "SCORE": _numbers(measured["SCORE"], pair_N),
        "VALID": _chosen(["Y", "N"], number % INVALID_EVERY == 0),
        "PANEL": _chosen(tissues, cell_N),
        "CELLNAME": _chosen(cell_ids, cell_N),
    }
    for name in ("TESTVALUE", "CONTROLVALUE", "TZVALUE"):
        columns[name] = pa.array(measured[name].astype(np.int64))
    return pa.table({name: columns[name] for name in HEADER.split(",")})


def _constant(text: str, rows: Mask) -> Any:
    """Say one text in some rows and nothing in the others."""
    return _chosen([text], np.where(rows, 0, -1))


def _chosen(names: Any, codes: npt.NDArray[Any]) -> Any:
    """Say names by number; -1 says nothing."""
    return pa.array(names).take(pa.array(codes.astype(np.int64), mask=codes < 0))


def _numbers(values: npt.NDArray[Any], rows: Mask) -> Any:
    return pa.array(values, mask=~rows)


def _molar(log10_molar: Floats) -> Floats:
    """Give molar concentrations with the few digits that a file has."""
    return np.asarray(np.round(10**log10_molar, 12))

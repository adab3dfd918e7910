"""A simulated screen as NCI ships it: dose-level wells in the columns of ``ComboDrugGrowth``."""

import os
import shutil
from collections.abc import Iterator
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


def write_raw(config: SimulationConfig, out: Path, *, overwrite: bool) -> int:
    """Write a folder of raw files: wells in NCI's layout, drugs, cell lines, expression.

    Wells are written a study (one NSC1 with its partners) at a time.

    Each study holds its drugs' single-agent wells too, from which EXPECTEDGROWTH follows by
    modified Bliss and SCORE by the published rounding. Like the real file it repeats its header
    line, ends in a 0x1A, and has wells whose VALID is not Y.

    Args:
        config: What to simulate; two slots.
        out: The folder to make: ``ComboDrugGrowth.csv``, ``drugs.csv`` and ``cells.csv``,
            ``expression.parquet``.
        overwrite: Replace such a folder.

    Returns:
        The number of wells.

    Raises:
        InputError: If `out` is there, or the configuration does not fit the layout.
    """
    if config.num_slots != 2:
        raise InputError("NCI's layout holds two drugs a well; use --slots 2")
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists already; choose another name or add --overwrite true")
    if out.exists() and not (out / WELLS).is_file():
        raise InputError(f"{out} holds something else; choose another name")
    simulation = simulate(config)
    aside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    wells = 0
    plain = pacsv.WriteOptions(include_header=False, quoting_style="none")
    try:
        with (aside / WELLS).open("wb") as file:
            file.write(f"{HEADER}\n".encode())
            for number, table in enumerate(_studies(simulation)):
                if number == 1:
                    file.write(f"{HEADER}\n".encode())
                pacsv.write_csv(table, file, write_options=plain)
                wells += len(table)
            file.write(b"\x1a\n")
        _write_entities(simulation, aside)
        shutil.rmtree(out, ignore_errors=True)
        os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return wells


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


def _studies(simulation: Simulation) -> Iterator[Any]:
    draw = np.random.default_rng([simulation.config.seed, 9])
    sequence = 1
    first_N = simulation.drug_NK[:, 0]
    order = np.argsort(first_N, kind="stable")
    starts = np.flatnonzero(np.diff(first_N[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        table = _study(simulation, rows, sequence, draw)
        sequence += len(table)
        yield table


def _study(simulation: Simulation, rows: Codes, sequence: int, draw: np.random.Generator) -> Any:
    truth = simulation.truth
    num_drugs, steps = len(simulation.drugs), np.array(DOSE_STEPS)
    pair_N2, pair_cell = simulation.drug_NK[rows], simulation.cell_N[rows]
    # Single-agent wells: each drug of the study in each of its lines at each of its doses.
    agents = np.unique(np.concatenate([pair_cell * num_drugs + drugs for drugs in pair_N2.T]))
    agents = agents[agents >= 0]
    single_cell = np.repeat(agents // num_drugs, len(steps))
    single_drug = np.repeat(agents % num_drugs, len(steps))
    single_step = np.tile(np.arange(len(steps)), len(agents))
    grid = np.array(list(product(range(len(steps)), repeat=2)))
    cell = np.concatenate([single_cell, np.repeat(pair_cell, len(grid))])
    drug_N2 = np.concatenate(
        [
            np.stack([single_drug, np.full_like(single_drug, -1)], axis=1),
            np.repeat(pair_N2, len(grid), axis=0),
        ]
    )
    step_N2 = np.concatenate(
        [
            np.stack([single_step, np.zeros_like(single_step)], axis=1),
            np.tile(grid, (len(rows), 1)),
        ]
    )
    dose_N2 = truth.middle_D[drug_N2] + steps[step_N2]
    true, _ = truth.growth(cell, drug_N2, dose_N2)
    noise = np.sqrt(true.var() * (1 / simulation.config.ceiling_r2 - 1))
    noisy = np.clip(true + noise * draw.normal(size=len(true)), -99, 200)
    gain = np.where(noisy >= 0, CONTROL - TIME_ZERO, TIME_ZERO)
    treated = np.round(TIME_ZERO + noisy / 100 * gain)
    control, start = np.full_like(treated, CONTROL), np.full_like(treated, TIME_ZERO)
    growth = np.round(percent_growth(treated, control, start), 3)
    # The measured single-agent growth of each (line, drug, dose), found by its place.
    place = np.full((len(simulation.cells), num_drugs, len(steps)), -1, dtype=np.int64)
    place[single_cell, single_drug, single_step] = np.arange(len(single_cell))
    alone = [growth[place[cell, drug_N2[:, k], step_N2[:, k]]] for k in range(2)]
    expected = np.round(expected_growth(np.stack(alone, axis=1)), 3)
    pair = drug_N2[:, 1] >= 0
    return _table(simulation, sequence, cell, drug_N2, step_N2, dose_N2, {
        "PERCENTGROWTH": growth, "TESTVALUE": treated, "CONTROLVALUE": control, "TZVALUE": start,
        "PERCENTGROWTHNOTZ": np.round(100 * treated / control, 2),
        "EXPECTEDGROWTH": np.where(pair, expected, np.nan),
        "SCORE": np.where(pair, score(expected, growth), np.nan),
    })  # fmt: skip


def _table(
    simulation: Simulation,
    sequence: int,
    cell: Codes,
    drug_N2: Codes,
    step_N2: Codes,
    dose_N2: Floats,
    measured: dict[str, Floats],
) -> Any:
    count = len(cell)
    number = np.arange(sequence, sequence + count)
    pair = drug_N2[:, 1] >= 0
    study = f"SIM{simulation.drugs.ids[drug_N2[-1, 0]]}"
    tissues = [str(t) for t in simulation.cells.annotation("tissue")]
    ids, cell_ids = pa.array(simulation.drugs.ids), pa.array(simulation.cells.ids)
    odd_site = cell % 2 == 1

    def constant(text: str, rows: npt.NDArray[np.bool_] | None = None) -> Any:
        mask = np.zeros(count, dtype=bool) if rows is None else ~rows
        return pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(count, dtype=np.int32), mask=mask), pa.array([text])
        ).cast(pa.string())

    def numbers(values: Any, rows: npt.NDArray[np.bool_] | None = None) -> Any:
        mask = np.zeros(count, dtype=bool) if rows is None else ~rows
        return pa.array(values, mask=mask | (values != values))

    def chosen(names: Any, codes: Codes) -> Any:
        return names.take(pa.array(codes, mask=codes < 0))

    whole = {
        name: pa.array(measured[name].astype(np.int64))
        for name in ("TESTVALUE", "CONTROLVALUE", "TZVALUE")
    }
    columns = {
        "COMBODRUGSEQ": pa.array(number),
        "SCREENER": chosen(pa.array(["FF", "1A"]), odd_site.astype(np.int64)),
        "STUDY": constant(study),
        "TESTDATE": constant("07/07/2011"),
        "PLATE": chosen(pa.array([f"{study}{name}" for name in simulation.cells.ids]), cell),
        "PANELNBR": pa.array(cell % 12),
        "CELLNBR": pa.array(cell),
        "PREFIX1": constant("S"),
        "NSC1": chosen(ids, drug_N2[:, 0]),
        "SAMPLE1": pa.array(drug_N2[:, 0]),
        "CONCINDEX1": pa.array(step_N2[:, 0] + 1),
        "CONC1": numbers(_molar(dose_N2[:, 0])),
        "CONCUNIT1": constant("M"),
        "PREFIX2": constant("S", pair),
        "NSC2": chosen(ids, drug_N2[:, 1]),
        "SAMPLE2": numbers(drug_N2[:, 1], pair),
        "CONCINDEX2": pa.array(np.where(pair, step_N2[:, 1] + 1, 0)),
        "CONC2": numbers(_molar(dose_N2[:, 1]), pair),
        "CONCUNIT2": constant("M", pair),
        "PERCENTGROWTH": numbers(measured["PERCENTGROWTH"]),
        "PERCENTGROWTHNOTZ": numbers(measured["PERCENTGROWTHNOTZ"], ~odd_site),
        **whole,
        "EXPECTEDGROWTH": numbers(measured["EXPECTEDGROWTH"]),
        "SCORE": numbers(measured["SCORE"]),
        "VALID": chosen(pa.array(["Y", "N"]), (number % INVALID_EVERY == 0).astype(np.int64)),
        "PANEL": chosen(pa.array([f"{tissue} Cancer" for tissue in tissues]), cell),
        "CELLNAME": chosen(cell_ids, cell),
    }
    return pa.table({name: columns[name] for name in HEADER.split(",")})


def _molar(log10_molar: Floats) -> Floats:
    """Give molar concentrations with the few digits that a file has."""
    return np.asarray(np.round(10**log10_molar, 12))

"""Screens with a known truth: Hill curves, a planted interaction, noise of a stated size.

Shapes: C cell lines, D drugs, N measurements, K drug slots, Q latent dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.chemistry import drug_blocks, inchikey
from combo_lightning.data.dataset import kind_named
from combo_lightning.data.dataset_writer import DatasetWriter
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.plausibility import CHECKS
from combo_lightning.data.schema import dose_columns, drug_columns
from combo_lightning.data.simulator_truth import Codes, Floats, Truth
from combo_lightning.errors import InputError

TISSUES = (
    "Breast",
    "CNS",
    "Colon",
    "Leukemia",
    "Lung",
    "Melanoma",
    "Ovarian",
    "Prostate",
    "Renal",
)
# The descriptors that the truth depends on: size, polarity, lipophilicity, shape.
TRUE_DESCRIPTORS = ("MolWt", "TPSA", "MolLogP", "FractionCSP3", "RingCount", "NumRotatableBonds")
_CORES = (
    "c1cc({a})cc({b})c1",
    "c1nc({a})nc({b})c1",
    "O=C(N{a})c1ccc({b})cc1",
    "C1CC({a})CCC1{b}",
    "c1ccc2c(c1)c({a})cn2{b}",
    "O=S(=O)(N{a})c1ccc({b})s1",
    "c1cc({a})c2ncccc2c1{b}",
    "C({a})NC(=O)C{b}",
)
_SIDES = (
    "C", "CC", "CCC", "C(C)C", "CO", "CCO", "OC", "N", "NC", "N(C)C", "F", "Cl", "C#N", "CCN",
    "C(=O)O", "C(=O)N", "c1ccccc1", "c1ccncc1", "N1CCOCC1", "N1CCNCC1", "C(F)(F)F", "CCCCC",
)  # fmt: skip
# Below this, noise that is free of the truth and of a stated size leaves nothing to chance.
LEAST_COMBINATIONS = 10
# Responses of one drug, whatever its dose.
SINGLE_DRUG = ("ic50", "zscore")
# log10 molar around each drug's own middle dose.
DOSE_STEPS = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate.

    Args:
        cells: Cell lines.
        drugs: Drugs.
        combinations: Combinations of drugs in a line; None: each set of drugs in each line.
        response: "growth" (each dose), "min_growth" or "combo_score"; of one slot also "ic50",
            and "zscore" (of the IC50 among all lines under the drug).
        num_slots: K, drugs of a combination.
        single_share: Share of combinations that have one drug only.
        replicate_share: Share of combinations that are measured twice, in opposite order.
        ceiling_r2: R2 that the true function reaches on the measured responses.
        cell_features: Width of the block "expression" (a tenth more in "microrna"); None: 100.
        drug_features: Width of one simulated block; None: structures, and features from them.
        seed: Seed of everything.
    """

    cells: int = 30
    drugs: int = 40
    combinations: int | None = None
    response: str = "combo_score"
    num_slots: int = 2
    single_share: float = 0.0
    replicate_share: float = 0.02
    ceiling_r2: float = 0.9
    cell_features: int | None = None
    drug_features: int | None = None
    seed: int = 1

    def check(self) -> None:
        """Refuse what cannot be simulated.

        Raises:
            InputError: With the option and what it may be.
        """
        if self.num_slots < 1:
            raise InputError(f"{self.num_slots} slots cannot hold a drug; use --slots 1 or more")
        least = max(3, self.num_slots + 1)
        if self.cells < 2 or self.drugs < least:
            raise InputError(
                f"{self.cells} cells and {self.drugs} drugs cannot make a screen of "
                f"{self.num_slots} drugs a row; use 2 cells and {least} drugs or more"
            )
        if self.combinations is not None and self.combinations < LEAST_COMBINATIONS:
            raise InputError(
                f"{self.combinations} combinations are too few to hold noise of a stated size; "
                f"use --combinations {LEAST_COMBINATIONS} or more"
            )
        if not 0 < self.ceiling_r2 <= 1:
            raise InputError(f"the ceiling of R2 is {self.ceiling_r2}; it must lie in (0, 1]")
        if not 0 <= self.single_share < 1:
            raise InputError(
                f"the share of single drugs is {self.single_share}; it must lie in [0, 1)"
            )
        if self.seed < 0:
            raise InputError(f"the seed is {self.seed}; it must be 0 or more")
        if self.response == "combo_score" and (self.num_slots != 2 or self.single_share):
            raise InputError(
                "a ComboScore is of two drugs; use --slots 2 without single drugs, or another "
                "--response"
            )
        if self.response in SINGLE_DRUG and self.num_slots != 1:
            raise InputError(f"the {self.response} is of one drug; use --slots 1")
        most = len(_CORES) * len(_SIDES) ** 2
        if self.drug_features is None and self.drugs > most:
            raise InputError(
                f"there are {most} structures to draw from, {self.drugs} were asked for"
            )


@dataclass(frozen=True)
class Simulation:
    """A simulated screen.

    Args:
        config: What was asked for.
        cells: Cell lines with their features.
        drugs: Drugs with their features.
        truth: The true function.
        cell_N: Cell line of each measurement.
        drug_NK: Drugs; -1: empty slot.
        dose_NK: log10 molar doses, NaN in an empty slot; None: not per dose.
        true_N: True response.
        response_N: Measured response.
    """

    config: SimulationConfig
    cells: Entities
    drugs: Entities
    truth: Truth
    cell_N: Codes
    drug_NK: Codes
    dose_NK: Floats | None
    true_N: Floats
    response_N: npt.NDArray[np.float32]


def simulate(config: SimulationConfig) -> Simulation:
    """Simulate a screen; equal configurations give equal screens.

    Raises:
        InputError: If the configuration cannot be.
    """
    config.check()
    draw = np.random.default_rng([config.seed, 7])
    drugs, drug_DQ = _draw_drugs(config, draw)
    cells, cell_CQ = _draw_cells(config, draw)
    truth = Truth.draw(drug_DQ, cell_CQ, draw)
    cell_N, drug_NK = _draw_combinations(config, draw)
    cell_N, drug_NK, dose_NK, true_N = _respond(config.response, truth, cell_N, drug_NK)
    response_N = (true_N + draw_noise(true_N, config.ceiling_r2, draw)).astype(np.float32)
    return Simulation(config, cells, drugs, truth, cell_N, drug_NK, dose_NK, true_N, response_N)


def draw_noise(true_N: Floats, ceiling_r2: float, draw: np.random.Generator) -> Floats:
    """Draw noise over which the true function reaches exactly `ceiling_r2`, however few the rows.

    Normal noise, less its mean and what of it happens to go with the truth, then scaled.
    """
    noise_N = draw.normal(size=len(true_N))
    centred_N = true_N - true_N.mean()
    noise_N -= noise_N.mean()
    variance = centred_N @ centred_N
    if variance:
        noise_N -= centred_N * (centred_N @ noise_N / variance)
    scale = np.sqrt(variance * (1 / ceiling_r2 - 1) / (noise_N @ noise_N))
    return np.asarray(scale * noise_N)


def _draw_drugs(config: SimulationConfig, draw: np.random.Generator) -> tuple[Entities, Floats]:
    ids = [str(900000 + i) for i in range(config.drugs)]
    names = [f"simulib-{i + 1}" for i in range(config.drugs)]
    annotations: dict[str, Sequence[Any]] = {"name": names, "synonyms": [[] for _ in ids]}
    if config.drug_features is not None:
        latent = draw.normal(size=(config.drugs, len(TRUE_DESCRIPTORS)))
        blocks = [_features("descriptors", latent, config.drug_features, draw)]
        return build_entities("drug", ids, annotations, blocks), latent
    recipes = list(product(range(len(_CORES)), range(len(_SIDES)), range(len(_SIDES))))
    chosen = draw.permutation(len(recipes))
    smiles: dict[str, str] = {}
    for place in chosen:  # equal structures by another recipe are passed over
        core, a, b = recipes[place]
        text = _CORES[core].format(a=_SIDES[a], b=_SIDES[b])
        smiles.setdefault(inchikey(text, text), text)
        if len(smiles) == config.drugs:
            break
    annotations |= {"smiles": list(smiles.values()), "inchikey": list(smiles)}
    blocks = drug_blocks(list(smiles.values()), names)
    descriptors = blocks[0]
    columns = [descriptors.feature_names.index(name) for name in TRUE_DESCRIPTORS]
    latent = descriptors.values_EF[:, columns].astype(np.float64)
    return build_entities("drug", ids, annotations, blocks), np.clip(_scaled(latent), -2.5, 2.5)


def _scaled(latent: Floats) -> Floats:
    """Standardise; few drugs may all agree in a descriptor."""
    spread = latent.std(axis=0)
    return np.asarray((latent - latent.mean(axis=0)) / np.where(spread > 0, spread, 1))


def _draw_cells(config: SimulationConfig, draw: np.random.Generator) -> tuple[Entities, Floats]:
    ids = [f"SIM-{i + 1}" for i in range(config.cells)]
    tissue = draw.integers(len(TISSUES), size=config.cells)
    centre = draw.normal(size=(len(TISSUES), 4))
    latent = 0.5 * centre[tissue] + draw.normal(size=(config.cells, 4))
    latent = _scaled(latent)
    if config.cell_features is not None:
        blocks = [_features("expression", latent, config.cell_features, draw)]
    else:
        blocks = [
            _features("expression", latent, 100, draw),
            _features("microrna", latent, 10, draw),
        ]
        # As in the NCI-60, one line was never measured, and single values are missing.
        blocks[0].values_EF[draw.integers(config.cells)] = np.nan
        blocks[1].values_EF[draw.random(blocks[1].values_EF.shape) < 0.01] = np.nan
    annotations: dict[str, Sequence[Any]] = {
        "name": ids,
        "tissue": [TISSUES[t] for t in tissue],
        "synonyms": [[] for _ in ids],
    }
    return build_entities("cell", ids, annotations, blocks), latent


def _features(name: str, latent: Floats, width: int, draw: np.random.Generator) -> FeatureBlock:
    """Draw features that the latent ones show through, half signal and half their own."""
    loading = draw.normal(size=(latent.shape[1], width)) / np.sqrt(latent.shape[1])
    values = 7 + latent @ loading + 0.5 * draw.normal(size=(len(latent), width))
    names = tuple(f"{name}_{i + 1}" for i in range(width))
    return FeatureBlock(name, names, "simulated", values.astype(np.float32))


def _draw_combinations(config: SimulationConfig, draw: np.random.Generator) -> tuple[Codes, Codes]:
    """Draw which drugs meet in which line, in whatever order, and which are measured twice.

    Raises:
        InputError: If more are asked for than there are.
    """
    sets = np.array(list(combinations(range(config.drugs), config.num_slots)), dtype=np.int64)
    total = len(sets) * config.cells
    wanted = total if config.combinations is None else config.combinations
    if wanted > total:
        raise InputError(
            f"{wanted} combinations were asked for, but {config.drugs} drugs in {config.cells} "
            f"lines make {total}; ask for fewer, or for more drugs or lines"
        )
    chosen = np.sort(draw.permutation(total)[:wanted])
    cell_N, drug_NK = chosen % config.cells, sets[chosen // config.cells]
    # A pair has one order in all lines, as on the plates of a screen.
    flipped = draw.random(len(sets)) < 0.5
    drug_NK = np.where(flipped[chosen // config.cells, None], drug_NK[:, ::-1], drug_NK)
    single = draw.random(wanted) < config.single_share
    drug_NK[single, 1:] = -1
    again = np.flatnonzero((draw.random(wanted) < config.replicate_share) & ~single)
    return (
        np.concatenate([cell_N, cell_N[again]]),
        np.concatenate([drug_NK, drug_NK[again, ::-1]]),
    )


def _respond(
    response: str, truth: Truth, cell_N: Codes, drug_NK: Codes
) -> tuple[Codes, Codes, Floats | None, Floats]:
    """Give the true response of each combination, or of each of its wells."""
    if response in SINGLE_DRUG:
        log_ic50_DC = truth.log_ic50_DC
        if response == "zscore":
            log_ic50_DC = _scaled(log_ic50_DC.T).T
        return cell_N, drug_NK, None, log_ic50_DC[drug_NK[:, 0], cell_N]
    grid = list(product(DOSE_STEPS, repeat=drug_NK.shape[1]))
    if response == "growth":
        cell_N = np.repeat(cell_N, len(grid))
        steps = np.tile(np.array(grid), (len(drug_NK), 1))
        drug_NK = np.repeat(drug_NK, len(grid), axis=0)
        dose_NK = truth.middle_D[drug_NK] + steps
        # An empty slot has one dose, not three.
        keep = ((drug_NK >= 0) | (steps == DOSE_STEPS[0])).all(axis=1)
        cell_N, drug_NK, dose_NK = cell_N[keep], drug_NK[keep], dose_NK[keep]
        true_N, _ = truth.growth(cell_N, drug_NK, dose_NK)
        return cell_N, drug_NK, np.where(drug_NK >= 0, dose_NK, np.nan), true_N
    lowest = np.full(len(cell_N), np.inf)
    total = np.zeros(len(cell_N))
    for step in grid:
        growth, expected = truth.growth(cell_N, drug_NK, truth.middle_D[drug_NK] + np.array(step))
        lowest = np.minimum(lowest, growth)
        total += expected - growth
    return cell_N, drug_NK, None, total if response == "combo_score" else lowest


def write_simulation(
    simulation: Simulation, out: Path, made_by: dict[str, Any], *, overwrite: bool = False
) -> Path:
    """Write a simulated screen as a data set, with its ceiling in the manifest.

    Args:
        simulation: The screen.
        out: The data set to make.
        made_by: The command, for the manifest.
        overwrite: Replace a data set that is there.
    """
    config = simulation.config
    kind = kind_named(config.response)
    drug_ids = pa.array(simulation.drugs.ids)
    columns = {
        "cell_id": _named(simulation.cell_N, pa.array(simulation.cells.ids)),
        "response": pa.array(simulation.response_N),
    }
    for k, name in enumerate(drug_columns(config.num_slots)):
        columns[name] = _named(simulation.drug_NK[:, k], drug_ids)
    if simulation.dose_NK is not None:
        for k, name in enumerate(dose_columns(config.num_slots)):
            columns[name] = pa.array(simulation.dose_NK[:, k], pa.float32(), from_pandas=True)
    stated = {"noise_ceiling_r2": config.ceiling_r2, "simulation": vars(config).copy()}
    # Normal noise goes where no measurement does.
    with DatasetWriter(out, kind, config.num_slots, overwrite=overwrite, accept=CHECKS) as writer:
        writer.append(pa.table(columns))
        return writer.finish(simulation.cells, simulation.drugs, [], made_by | stated)


def _named(code_N: Codes, names: Any) -> Any:
    codes = pa.array(code_N, pa.int32(), mask=code_N < 0)
    return pa.DictionaryArray.from_arrays(codes, names)


PRESETS: dict[str, SimulationConfig] = {
    "small": SimulationConfig(cells=12, drugs=14, replicate_share=0.05),
    "demo": SimulationConfig(),
    # The reference data set's numbers: 244,501 + 61,125 samples, 921 and 3,829 features.
    "poster": SimulationConfig(
        cells=60,
        drugs=104,
        combinations=305_626,
        response="min_growth",
        replicate_share=0.0,
        cell_features=921,
        drug_features=3829,
    ),
}


def preset_config(preset: str, **changes: Any) -> SimulationConfig:
    """Take a preset and change what is given (None: as the preset has it).

    Raises:
        InputError: If there is no such preset.
    """
    if preset not in PRESETS:
        raise InputError(f"unknown preset '{preset}'; known are {', '.join(PRESETS)}")
    return replace(PRESETS[preset], **{k: v for k, v in changes.items() if v is not None})

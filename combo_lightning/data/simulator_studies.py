"""One simulated truth as several studies measure it: each in its own lines, drugs and scale.

Shapes: C cell lines, D drugs, N measurements.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.simulator import (
    LEAST_COMBINATIONS,
    Simulation,
    SimulationConfig,
    draw_noise,
    simulate,
    write_simulation,
)
from combo_lightning.errors import InputError

# Share of the lines, and of the drugs, that a study has.
SHARE = 2 / 3


def write_studies(
    config: SimulationConfig, count: int, out: Path, made_by: dict[str, Any], *, overwrite: bool
) -> list[Path]:
    """Write ``study-1``, ``study-2`` .. as data sets.

    A study has two thirds of the lines and of the drugs, at random, and calls the drugs, from the
    second study on also the lines, in its own way. Its responses are its own offset and scale of
    the truth, with noise of the size that `config` states; its expression is on a platform of its
    own, an offset and a scale for each feature.

    Args:
        config: The screen of all lines and drugs.
        count: How many studies, at least 2.
        out: The folder of the data sets.
        made_by: The command, for the manifests.
        overwrite: Replace data sets that are there.

    Raises:
        InputError: If there are too few studies, or too few rows for one.
    """
    if count < 2:
        raise InputError(f"--studies is {count}; it must be 2 or more")
    whole = simulate(config)
    draw = np.random.default_rng([config.seed, 11])
    written = []
    for number in range(1, count + 1):
        study, scale, offset = _draw_study(whole, number, draw)
        stated = {"study": {"number": number, "scale": scale, "offset": offset}}
        path = out / f"study-{number}"
        written.append(write_simulation(study, path, made_by | stated, overwrite=overwrite))
    return written


def _draw_study(
    whole: Simulation, number: int, draw: np.random.Generator
) -> tuple[Simulation, float, float]:
    """Draw one study: what it measures, and the scale and offset of its responses.

    Raises:
        InputError: If it has too few rows.
    """
    cells, drugs = (
        np.sort(draw.permutation(len(e))[: max(2, round(SHARE * len(e)))])
        for e in (whole.cells, whole.drugs)
    )
    # Where each entity of the whole stands in the study; the last one serves empty slots.
    cell_place, drug_place = (
        _places(chosen, len(e)) for chosen, e in ((cells, whole.cells), (drugs, whole.drugs))
    )
    inside = (whole.drug_NK < 0) | (drug_place[whole.drug_NK] >= 0)
    rows = np.flatnonzero((cell_place[whole.cell_N] >= 0) & inside.all(axis=1))
    if len(rows) < LEAST_COMBINATIONS:
        raise InputError(
            f"study {number} would have {len(rows)} rows, at least {LEAST_COMBINATIONS} are "
            "needed; ask for more --cells, --drugs or --combinations"
        )
    scale = float(np.round(np.exp(0.5 * draw.normal()), 3))
    offset = float(np.round(whole.true_N.std() * draw.normal(), 3))
    true_N = offset + scale * whole.true_N[rows]
    noise_N = draw_noise(true_N, whole.config.ceiling_r2, draw)
    return (
        replace(
            whole,
            cells=_on_platform(_take(whole.cells, cells, number), draw),
            drugs=_take(whole.drugs, drugs, number),
            cell_N=cell_place[whole.cell_N[rows]],
            drug_NK=drug_place[whole.drug_NK[rows]],
            dose_NK=None if whole.dose_NK is None else whole.dose_NK[rows],
            true_N=true_N,
            response_N=(true_N + noise_N).astype(np.float32),
        ),
        scale,
        offset,
    )


def _places(chosen: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    place = np.full(count + 1, -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    return place


def _take(entities: Entities, chosen: npt.NDArray[np.int64], number: int) -> Entities:
    """Take some entities, called as the study calls them."""
    ids = [entities.ids[i] for i in chosen]
    annotations = {n: [v[i] for i in chosen] for n, v in entities.annotations.items()}
    if entities.kind == "drug":
        ids = [f"S{number}-{name.removeprefix('simulib-')}" for name in annotations["name"]]
    elif number > 1:
        ids = annotations["name"] = [name.replace("-", "_" * (number - 1)) for name in ids]
    blocks = [
        FeatureBlock(b.name, b.feature_names, b.unit, b.values_EF[chosen], b.recipe)
        for b in entities.blocks.values()
    ]
    return build_entities(entities.kind, ids, annotations, blocks)


def _on_platform(cells: Entities, draw: np.random.Generator) -> Entities:
    """Give the values as a platform of its own measures them."""
    blocks = []
    for block in cells.blocks.values():
        width = len(block.feature_names)
        gain, shift = np.exp(0.3 * draw.normal(size=width)), draw.normal(size=width)
        values = (block.values_EF * gain + shift).astype(np.float32)
        blocks.append(FeatureBlock(block.name, block.feature_names, block.unit, values))
    return build_entities("cell", cells.ids, cells.annotations, blocks)

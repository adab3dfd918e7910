"""The facts of a data set, for ``combo-lightning info``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.entities import Entities
from combo_lightning.data.identity import replicate_groups
from combo_lightning.data.study_facts import StudyFacts, describe_studies

QUANTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)


@dataclass(frozen=True)
class BlockFacts:
    """One feature block.

    Args:
        entity: "cell" or "drug".
        name: The block.
        features: Its width.
        unit: Its unit.
        entities_without: Entities that it knows nothing of.
        missing_share: Share of missing values among the others.
    """

    entity: str
    name: str
    features: int
    unit: str
    entities_without: int
    missing_share: float


@dataclass(frozen=True)
class DatasetFacts:
    """What a data set holds.

    Args:
        rows: Measurements.
        cells: Cell lines, and how many of them were measured.
        drugs: Drugs, and how many of them were measured.
        drugs_per_row: Rows with 1, 2, .. drugs.
        response: Name and unit of the response.
        quantiles: The response at `QUANTILES` percent.
        mean: Its mean.
        sd: Its standard deviation.
        histogram: Counts and edges between its 1st and 99th percentile.
        doses: Distinct log10 molar doses, and their range; None: not per dose.
        replicates: Pairs of rows that measured the same thing.
        replicate_correlation: Pearson's correlation between the two; NaN below 3 pairs.
        weighted: Whether rows have weights other than 1.
        studies: The studies, if there are several.
        blocks: The feature blocks.
        sources: Raw files: path, sha256, bytes.
        made_by: How it was made.
        fingerprint: SHA-256 over the tables.
    """

    rows: int
    cells: tuple[int, int]
    drugs: tuple[int, int]
    drugs_per_row: Mapping[int, int]
    response: tuple[str, str]
    quantiles: tuple[float, ...]
    mean: float
    sd: float
    histogram: tuple[tuple[int, ...], tuple[float, ...]]
    doses: tuple[int, float, float] | None
    replicates: int
    replicate_correlation: float
    weighted: bool
    studies: tuple[StudyFacts, ...]
    blocks: tuple[BlockFacts, ...]
    sources: tuple[Mapping[str, Any], ...]
    made_by: Mapping[str, Any]
    fingerprint: str


def describe(dataset: ScreenDataset) -> DatasetFacts:
    """Gather the facts of a data set."""
    responses = dataset.responses
    y = responses.response_N.astype(np.float64)
    present_NK = responses.drug_NK >= 0
    counts = np.bincount(present_NK.sum(axis=1))
    doses = None
    if responses.log10_molar_NK is not None:
        used = np.unique(responses.log10_molar_NK[present_NK])
        doses = (len(used), float(used[0]), float(used[-1]))
    group_N = replicate_groups(responses)
    order = np.argsort(group_N, kind="stable")
    same = group_N[order][1:] == group_N[order][:-1]
    a, b = y[order[:-1][same]], y[order[1:][same]]
    defined = len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0
    # Values that occur, so that the histogram of a few rows holds some of them.
    low, high = np.percentile(y, 1, method="lower"), np.percentile(y, 99, method="higher")
    height, edges = np.histogram(y, bins=20, range=(low, high if high > low else low + 1))
    return DatasetFacts(
        rows=len(y),
        cells=(len(dataset.cells), len(np.unique(responses.cell_N))),
        drugs=(len(dataset.drugs), len(np.unique(responses.drug_NK[present_NK]))),
        drugs_per_row={k: int(n) for k, n in enumerate(counts) if n},
        response=(dataset.kind.name, dataset.kind.unit),
        quantiles=tuple(float(q) for q in np.percentile(y, QUANTILES)),
        mean=float(y.mean()),
        sd=float(y.std()),
        histogram=(tuple(int(n) for n in height), tuple(float(e) for e in edges)),
        doses=doses,
        replicates=len(a),
        replicate_correlation=float(np.corrcoef(a, b)[0, 1]) if defined else float("nan"),
        weighted=responses.weight_N is not None,
        studies=describe_studies(dataset),
        blocks=(*_blocks(dataset.cells), *_blocks(dataset.drugs)),
        sources=tuple(dataset.manifest["sources"]),
        made_by=dataset.manifest["made_by"],
        fingerprint=dataset.fingerprint,
    )


def _blocks(entities: Entities) -> list[BlockFacts]:
    facts = []
    for block in entities.blocks.values():
        width = len(block.feature_names)
        missing_E = np.concatenate([np.isnan(x).sum(axis=1) for x in block.chunks()])
        without = missing_E == width
        share = float(missing_E[~without].mean() / width) if (~without).any() else 0.0
        facts.append(
            BlockFacts(
                entities.kind,
                block.name,
                len(block.feature_names),
                block.unit,
                int(without.sum()),
                share,
            )
        )
    return facts

"""What the studies of a data set measured, and what they share.

Shapes: N measurements, S studies.
"""

from dataclasses import dataclass

import numpy as np

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import combine_codes, compound_of_drug, compound_sets


@dataclass(frozen=True)
class StudyFacts:
    """One study.

    Args:
        name: Its name; empty: rows without one.
        rows: Its measurements.
        mean: Mean of its responses.
        sd: Their standard deviation.
        cells: Cell lines that it measured, and how many of them other studies did too.
        drugs: The same of its drugs, by compound.
        combinations: The same of its combinations in a line.
    """

    name: str
    rows: int
    mean: float
    sd: float
    cells: tuple[int, int]
    drugs: tuple[int, int]
    combinations: tuple[int, int]


def describe_studies(dataset: ScreenDataset) -> tuple[StudyFacts, ...]:
    """Gather the facts of each study, in the order of the rows; none, if there is but one."""
    responses = dataset.responses
    if responses.study_N is None:
        return ()
    compound_D = compound_of_drug(dataset)
    compound_NK = np.where(responses.drug_NK >= 0, compound_D[responses.drug_NK], -1)
    sets_N = combine_codes([compound_sets(responses, compound_D), responses.cell_N])
    study_N, names = responses.study_N, responses.studies
    of = {
        "cells": [np.unique(responses.cell_N[study_N == s]) for s in range(len(names))],
        "drugs": [np.unique(compound_NK[study_N == s]) for s in range(len(names))],
        "combinations": [np.unique(sets_N[study_N == s]) for s in range(len(names))],
    }
    of["drugs"] = [drugs[drugs >= 0] for drugs in of["drugs"]]
    shared = {}
    for what, found in of.items():
        everything = np.concatenate(found)
        studies = np.bincount(everything)
        shared[what] = [(len(own), int((studies[own] > 1).sum())) for own in found]
    facts = []
    for study, name in enumerate(names):
        own = responses.response_N[study_N == study].astype(np.float64)
        facts.append(
            StudyFacts(
                name=name,
                rows=len(own),
                mean=float(own.mean()),
                sd=float(own.std()),
                cells=shared["cells"][study],
                drugs=shared["drugs"][study],
                combinations=shared["combinations"][study],
            )
        )
    return tuple(facts)

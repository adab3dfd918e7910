from dataclasses import replace

import numpy as np

from combo_lightning.data.study_facts import describe_studies
from tests.data.screens import full_screen, make_drugs, make_screen


def test_what_studies_share_is_counted_by_compound_in_whatever_order() -> None:
    drugs = make_drugs(4, ["A", "B", "C", "A"])  # the last is the first by another id
    screen = make_screen(
        [0, 0, 1, 2, 0], [[0, 1], [1, 0], [0, 2], [3, -1], [1, 3]], drugs=drugs
    )  # fmt: skip
    study_N = np.array([0, 0, 0, 1, 1], dtype=np.int16)
    responses = replace(screen.responses, study_N=study_N, studies=("x", ""))
    first, second = describe_studies(replace(screen, responses=responses))
    assert (first.name, first.rows, second.name, second.rows) == ("x", 3, "", 2)
    assert (first.cells, second.cells) == ((2, 1), (2, 1))
    assert (first.drugs, second.drugs) == ((3, 2), (2, 2))
    assert (first.combinations, second.combinations) == ((2, 1), (2, 1))
    assert first.mean == np.float64(screen.responses.response_N[:3].astype(float).mean())


def test_one_study_has_no_table() -> None:
    assert describe_studies(full_screen()) == ()

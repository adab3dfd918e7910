"""A screen's pairs against the network row by row."""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from combo_lightning.model.pairs import PairScorer
from tests.model.dense import Screen, draw_screen
from tests.model.test_combo import assert_equal, build_model

Join = Literal["concatenate", "symmetric", "slots"]
PRODUCTS = {"drug_drug_rank": 3, "cell_drug_rank": 2, "table_rank": 4}
FIRST, SECOND = torch.tensor([4, 0, 2]), torch.tensor([5, 1, 2, 0])
A_B, B_B = torch.tensor([0, 1, 2, 2, 0]), torch.tensor([3, 3, 0, 1, 2])
DOSE = -0.3


def row_by_row(
    model: Any, encoded: Any, screen: Screen, cell: int, order: tuple[int, int]
) -> Tensor:
    slots = screen.drug_BK.shape[1]
    drug_BK = torch.full((len(A_B), slots), -1)
    if slots == 1:
        drug_BK[:, 0] = FIRST[A_B]
    else:
        drug_BK[:, order[0]], drug_BK[:, order[1]] = FIRST[A_B], SECOND[B_B]
    dose = None if screen.dose_BK is None else torch.full(drug_BK.shape, DOSE).double()
    answer: Tensor = model.respond(encoded, torch.full_like(A_B, cell), drug_BK, dose)
    return answer


@pytest.mark.parametrize("dose", [False, True])
@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("join", ["concatenate", "symmetric", "slots"])
@pytest.mark.parametrize("products", [False, True])
def test_pairs_equal_the_network_row_by_row(
    join: Join, slots: int, products: bool, dose: bool
) -> None:
    if products and (join == "concatenate" or slots == 1):
        pytest.skip("refused by the network itself")
    screen = draw_screen(slots=slots, dose=dose)
    model = build_model(screen, join=join, **(PRODUCTS if products else {})).eval()
    with torch.inference_mode():
        encoded = model.encode(screen.cells, screen.drugs)
        second = torch.full_like(SECOND, len(screen.drugs.id_E)) if slots == 1 else SECOND
        scorer = PairScorer(model, encoded, torch.float64, DOSE if dose else None)
        for _ in range(2):  # a second block forgets the first
            scorer.load_block(FIRST, second)
            for cell in (3, 1):
                scorer.load_line(cell)
                for p, placement in enumerate(scorer.placements):
                    weight_BP = torch.zeros(len(A_B), len(scorer.placements)).double()
                    weight_BP[:, p] = 1
                    wanted = row_by_row(model, encoded, screen, cell, placement)
                    assert_equal(scorer.score(A_B, B_B, weight_BP), wanted)
    assert len(scorer.placements) == (slots * (slots - 1) if join == "slots" and slots > 1 else 1)


def test_the_placements_weigh_as_asked() -> None:
    screen = draw_screen()
    model = build_model(screen, join="slots", **PRODUCTS).eval()
    with torch.inference_mode():
        encoded = model.encode(screen.cells, screen.drugs)
        scorer = PairScorer(model, encoded, torch.float64)
        scorer.load_block(FIRST, SECOND)
        scorer.load_line(2)
        share = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0], [0.3, 0.7], [0.5, 0.5]]).double()
        ways = [row_by_row(model, encoded, screen, 2, order) for order in ((0, 1), (1, 0))]
        assert_equal(scorer.score(A_B, B_B, share), (torch.stack(ways, 1) * share).sum(1))


def test_bf16_errs_no_more_than_twice_as_much_as_the_dense_network_in_bf16() -> None:
    screen = draw_screen(cells=3, drugs=40)
    model = build_model(screen, join="symmetric").eval()
    first, second = torch.arange(40), torch.arange(40)
    a, b = torch.triu_indices(40, 40, offset=1)
    with torch.inference_mode():
        exact = model.respond(
            model.encode(screen.cells, screen.drugs),
            torch.zeros_like(a),
            torch.stack([a, b], dim=1),
        )
        single = model.float()
        cells = screen.cells._replace(features_EF=screen.cells.features_EF.float())
        drugs = screen.drugs._replace(features_EF=screen.drugs.features_EF.float())
        with torch.autocast("cpu", torch.bfloat16):
            dense = single(cells, drugs, torch.zeros_like(a), torch.stack([a, b], dim=1))
        scorer = PairScorer(single, single.encode(cells, drugs), torch.bfloat16)
        scorer.load_block(first, second)
        scorer.load_line(0)
        found = scorer.score(a, b)
    assert found.dtype == torch.float32
    assert (found - exact).square().mean() <= 4 * (dense - exact).square().mean()
    assert len(found.unique()) > 0.9 * len(found)  # the response itself is not rounded

"""The studies' term against its formula, and the network without it."""

from typing import Any

import torch

from combo_lightning.model import ComboModel, InputSizes, NetworkConfig
from combo_lightning.model.layers import MaskGenerator, Rows, set_dropout_generator
from combo_lightning.model.pairs import PairScorer
from combo_lightning.model.study import StudyTerm
from tests.model.dense import Screen, draw_screen
from tests.model.test_combo import assert_equal, build_model

STUDY_B = torch.tensor([0, 1, 2, -1, 0, 1, 2, -1, 0, 1, 2, -1])


def build_with_studies(screen: Screen, **options: Any) -> ComboModel:
    plain = build_model(screen, **options)
    torch.manual_seed(1)
    model = ComboModel(
        NetworkConfig.from_plain(plain.config.to_plain() | {"study_embedding": 4}),
        InputSizes(**{**vars(plain.sizes), "num_studies": 3}),
    ).double()
    assert model.study is not None
    with torch.no_grad():
        model.study.weight.copy_(torch.randn(3, 4))
    return model


def test_the_term_is_its_formula() -> None:
    term = StudyTerm(3, 4, 5, dropout=0.5).eval()
    with torch.no_grad():
        term.weight.normal_()
    wanted = term.weight[[0, 2]] @ term.projection.weight.T
    found = term(torch.tensor([0, 2, -1]))
    torch.testing.assert_close(found[:2], wanted)
    assert torch.equal(found[2], torch.zeros(5))


def test_it_begins_at_nothing_and_the_other_weights_begin_as_without_it() -> None:
    screen = draw_screen()
    torch.manual_seed(3)
    plain = build_model(screen)
    config = NetworkConfig.from_plain(plain.config.to_plain() | {"study_embedding": 4})
    sizes = InputSizes(**{**vars(plain.sizes), "num_studies": 3})
    torch.manual_seed(3)
    first = ComboModel(plain.config, plain.sizes)
    torch.manual_seed(3)
    second = ComboModel(config, sizes)
    weights = second.state_dict()
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, weights.pop(name)), name
    assert set(weights) == {"study.weight", "study.projection.weight"}
    assert not weights["study.weight"].any()


def test_a_study_is_dropped_by_row_whichever_process_holds_the_row() -> None:
    term = StudyTerm(2, 3, 4, dropout=0.4).train()
    with torch.no_grad():
        term.weight.fill_(1.0)
    generator = MaskGenerator(torch.device("cpu"))
    set_dropout_generator(term, generator)

    def draw(study_B: torch.Tensor, rows: Rows | None = None) -> torch.Tensor:
        generator.seed([1, 2])
        kept: torch.Tensor = term(study_B, rows).abs().sum(dim=1) > 0
        return kept

    study_B = torch.zeros(4000, dtype=torch.int64)
    whole = draw(study_B)
    assert abs(float(whole.double().mean()) - 0.6) < 0.03
    parts = [draw(study_B[a:b], Rows(4000, ((a, b),))) for a, b in ((0, 1500), (1500, 4000))]
    assert torch.equal(torch.cat(parts), whole)


def test_respond_and_forward_agree_and_an_unknown_study_is_none() -> None:
    screen = draw_screen()
    for mode in ("per_entity", "per_sample"):
        model = build_with_studies(screen, dropout_mode=mode).eval()
        tables = screen.cells, screen.drugs
        rows = screen.cell_B, screen.drug_BK
        whole = model(*tables, *rows, study_B=STUDY_B)
        encoded = model.encode(*tables)
        assert_equal(model.respond(encoded, *rows, study_B=STUDY_B), whole)
        none = model(*tables, *rows)
        unknown = STUDY_B < 0
        assert torch.equal(none[unknown], whole[unknown])
        assert (none[~unknown] != whole[~unknown]).all()
        orders = model.respond_in_orders(encoded, *rows, None, [(0, 1), (1, 0)], STUDY_B)
        assert_equal(orders[:, 0], whole)
        # In training, without dropout in the encoders, a mask a row comes to the same.
        model.train()
        if model.study is not None:
            model.study.dropout = 0.0
        assert_equal(model(*tables, *rows, study_B=STUDY_B), whole)


def test_pairs_of_a_screen_are_answered_in_a_study() -> None:
    screen = draw_screen()
    model = build_with_studies(screen, join="slots", drug_drug_rank=3).eval()
    first, second = torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])
    with torch.inference_mode():
        encoded = model.encode(screen.cells, screen.drugs)
        for study in (-1, 2):
            scorer = PairScorer(model, encoded, torch.float64, study=study)
            scorer.load_block(first, second)
            scorer.load_line(1)
            places = torch.arange(3)
            weight_BP = torch.tensor([[1.0, 0.0]] * 3).double()
            wanted = model.respond(
                encoded, torch.ones(3, dtype=torch.int64), torch.stack([first, second], dim=1),
                study_B=torch.full((3,), study),
            )  # fmt: skip
            assert_equal(scorer.score(places, places, weight_BP), wanted)


def test_studies_that_no_row_points_to_stay_zero() -> None:
    term = StudyTerm(3, 4, 5, dropout=0.0).train()
    optimizer = torch.optim.AdamW(term.parameters(), lr=0.1, weight_decay=0.1)
    with torch.no_grad():
        term.weight[0] = 1.0
    for _ in range(3):
        optimizer.zero_grad()
        (term(torch.tensor([0, 1])) - 1).square().sum().backward()
        optimizer.step()
    assert term.weight[:2].all()
    assert not term.weight[2].any()

import copy
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from combo_lightning.model import (
    ComboModel,
    EncoderConfig,
    HeadConfig,
    InputSizes,
    NetworkConfig,
)
from combo_lightning.model.layers import (
    ActivationDropout,
    MaskGenerator,
    set_dropout_generator,
)
from tests.model.dense import Screen, draw_screen, predict_dense

Join = Literal["concatenate", "symmetric", "slots"]


def assert_equal(mine: Tensor, theirs: Tensor) -> None:
    # fp64, sums of about 20 terms in another order.
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def build_model(screen: Screen, dropout: float = 0.0, **options: Any) -> ComboModel:
    torch.manual_seed(3)
    encoder = EncoderConfig(widths=[8, 6, 5], dropout=dropout, id_embedding=3)
    config = NetworkConfig(
        cell_encoder=replace(encoder, normalization="output"),
        drug_encoder=encoder,
        head=HeadConfig(widths=[7, 4], dropout=dropout, activation="silu"),
        **options,
    )
    sizes = InputSizes(
        cell_features=7,
        drug_features=9,
        num_cells=len(screen.cells.id_E),
        num_drugs=len(screen.drugs.id_E),
        num_slots=screen.drug_BK.shape[1],
        has_dose=screen.dose_BK is not None,
    )
    return ComboModel(config, sizes).double()


def predict(model: ComboModel, screen: Screen) -> Tensor:
    response: Tensor = model(
        screen.cells, screen.drugs, screen.cell_B, screen.drug_BK, screen.dose_BK
    )
    return response


def gradients(model: ComboModel, response: Tensor) -> list[Tensor]:
    model.zero_grad()
    (response * torch.arange(1, len(response) + 1)).sum().backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize(
    ("features", "parameters", "cell", "drug"),
    [
        ((923, 3809), 13_742_001, 2_926_000, 5_812_000),
        ((921, 3829), 13_760_001, 2_924_000, 5_832_000),
    ],
)
def test_published_network_has_its_published_size(
    features: tuple[int, int], parameters: int, cell: int, drug: int
) -> None:
    with torch.device("meta"):
        sizes = InputSizes(*features, num_cells=60, num_drugs=104, num_slots=2)
        model = ComboModel(NetworkConfig(), sizes)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(p.numel() for p in model.cell_encoder.parameters()) == cell
    assert sum(p.numel() for p in model.drug_encoder.parameters()) == drug


@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("join", ["concatenate", "symmetric", "slots"])
@pytest.mark.parametrize("mode", ["per_sample", "per_entity"])
@pytest.mark.parametrize("training", [True, False])
def test_without_dropout_both_modes_equal_the_dense_network(
    slots: int, join: Join, mode: str, training: bool
) -> None:
    screen = draw_screen(slots=slots, empty=True)
    model = build_model(screen, join=join, dropout_mode=mode).train(training)
    factorised, dense = predict(model, screen), predict_dense(model, screen)
    assert_equal(factorised, dense)
    for mine, theirs in zip(gradients(model, factorised), gradients(model, dense), strict=True):
        assert_equal(mine, theirs)


@pytest.mark.parametrize("entities", [3, 40])
@pytest.mark.parametrize("join", ["concatenate", "symmetric"])
def test_per_sample_with_the_dense_networks_masks_equals_it(entities: int, join: Join) -> None:
    # 3 entities: the whole table is smaller than the batch's slots; 40: larger.
    screen = draw_screen(rows=12, cells=entities, drugs=entities, empty=True)
    model = build_model(screen, dropout=0.5, join=join, dropout_mode="per_sample").train()
    draw = MaskGenerator(torch.device("cpu"))
    set_dropout_generator(model, draw)
    results = []
    for compute in (predict, predict_dense):
        draw.seed([11])
        response = compute(model, screen)
        results.append((response.detach(), gradients(model, response)))
    assert_equal(results[0][0], results[1][0])
    for mine, theirs in zip(results[0][1], results[1][1], strict=True):
        assert_equal(mine, theirs)
    draw.seed([12])
    assert not torch.allclose(predict(model, screen), results[0][0])


def set_head_dropout(model: ComboModel, probability: float) -> None:
    for layer in model.activate:
        assert isinstance(layer, ActivationDropout)
        layer.probability = probability


def test_per_entity_masks_are_constant_within_a_batch_and_fresh_between_batches() -> None:
    screen = draw_screen(rows=80, cells=3, drugs=2)
    model = build_model(screen, dropout=0.5, dropout_mode="per_entity").train()
    set_head_dropout(model, 0.0)  # the head's masks are drawn by row in both modes
    draw = MaskGenerator(torch.device("cpu"))
    set_dropout_generator(model, draw)
    first, second = predict(model, screen), predict(model, screen)
    assert not torch.allclose(first, second)
    keys = torch.cat([screen.cell_B[:, None], screen.drug_BK], dim=1)
    for key in keys.unique(dim=0):
        same = (keys == key).all(dim=1)
        assert same.sum() > 1
        assert first[same].max() - first[same].min() < 1e-12


def test_per_sample_masks_differ_between_equal_rows() -> None:
    screen = draw_screen(rows=40, cells=1, drugs=1)
    model = build_model(screen, dropout=0.5, dropout_mode="per_sample").train()
    set_head_dropout(model, 0.0)
    assert predict(model, screen).std() > 1e-3


PRODUCTS = {"drug_drug_rank": 3, "cell_drug_rank": 2, "table_rank": 4}


@pytest.mark.parametrize("dose", [False, True])
def test_a_symmetric_pair_is_symmetric_to_the_last_bit(dose: bool) -> None:
    screen = draw_screen(dose=dose)
    model = build_model(screen, join="symmetric", **PRODUCTS).eval()
    swapped = copy.copy(screen)
    swapped.drug_BK = screen.drug_BK.flip(1)
    swapped.dose_BK = None if screen.dose_BK is None else screen.dose_BK.flip(1)
    assert torch.equal(predict(model, screen), predict(model, swapped))


def test_slots_tell_the_order_apart() -> None:
    screen = draw_screen()
    model = build_model(screen, join="slots").eval()
    encoded = model.encode(screen.cells, screen.drugs)
    orders_BP = model.respond_in_orders(
        encoded, screen.cell_B, screen.drug_BK, None, [(0, 1), (1, 0)]
    )
    different = screen.drug_BK[:, 0] != screen.drug_BK[:, 1]
    assert ((orders_BP[:, 0] - orders_BP[:, 1]).abs()[different] > 1e-6).all()
    torch.testing.assert_close(orders_BP[:, 0], predict(model, screen))


@pytest.mark.parametrize("join", ["symmetric", "slots"])
@pytest.mark.parametrize("slots", [2, 3])
def test_an_empty_slot_adds_nothing(join: Join, slots: int) -> None:
    screen = draw_screen(slots=slots, dose=True)
    screen.drug_BK[:, 1:] = -1
    model = build_model(screen, join=join, **PRODUCTS).eval()
    before = predict(model, screen)
    assert screen.dose_BK is not None
    screen.dose_BK[:, 1:] = 99.0
    others = copy.copy(screen)
    others.drugs = screen.drugs._replace(features_EF=screen.drugs.features_EF.clone())
    unused = [d for d in range(6) if d not in screen.drug_BK[:, 0]]
    others.drugs.features_EF[unused] = 50.0
    assert torch.equal(predict(model, others), before)


def test_product_terms_follow_their_formula() -> None:
    screen = draw_screen(rows=9)
    model = build_model(screen, join="slots", **PRODUCTS).eval()
    join = model.join
    assert join.table is not None
    assert join.drug_drug is not None
    assert join.cell_drug is not None
    cell_EC = model.cell_encoder.encode_entities(screen.cells)
    drug_ED = model.drug_encoder.encode_entities(screen.drugs)
    expected = []
    for c, (a, b) in zip(screen.cell_B.tolist(), screen.drug_BK.tolist(), strict=True):
        own_a, p_a, m_a, v_a, s_a = torch.split(join.drug[0](drug_ED[a]), join.drug_parts)
        own_b, p_b, m_b, v_b, s_b = torch.split(join.drug[1](drug_ED[b]), join.drug_parts)
        own_c, m_c = torch.split(join.cell(cell_EC[c]), join.cell_parts)
        u_a = join.table.weight[0, a * join.table.num_cells + c]
        u_b = join.table.weight[1, b * join.table.num_cells + c]
        z = join.bias + own_c + own_a + own_b
        z = z + join.drug_drug(p_a * p_b) + join.cell_drug(m_c * (m_a + m_b))
        z = z + join.table_product[0](u_a * v_b) + join.table_product[1](u_b * v_a)
        h = model.head[0](model.activate[0](z))
        y = model.head[1](model.activate[1](h))
        expected.append(y.squeeze() + u_a @ s_b + u_b @ s_a)
    assert_equal(predict(model, screen), torch.stack(expected))


def test_what_training_never_saw_contributes_exactly_zero_and_stays_zero() -> None:
    screen = draw_screen(rows=30)
    model = build_model(screen, join="slots", **PRODUCTS).train()
    cell_seen, drug_seen = torch.ones(5, dtype=torch.bool), torch.ones(6, dtype=torch.bool)
    cell_seen[4], drug_seen[5] = False, False
    keep = (screen.cell_B != 4) & (screen.drug_BK != 5).all(dim=1)
    train = Screen(screen.cells, screen.drugs, screen.cell_B[keep], screen.drug_BK[keep], None)
    table_seen = torch.zeros(2, 6, 5, dtype=torch.bool)
    for k in range(2):
        table_seen[k, train.drug_BK[:, k], train.cell_B] = True
    model.forget(cell_seen, drug_seen, table_seen)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        predict(model, train).square().sum().backward()
        optimizer.step()
    assert model.join.table is not None
    assert (model.join.table.weight.reshape(2, 6, 5, -1)[~table_seen] == 0).all()
    assert (model.join.table.weight.reshape(2, 6, 5, -1)[table_seen] != 0).any()
    # An unseen entity predicts exactly as one that no learned table knows (id -1).
    model.eval()
    unknown = screen.drugs._replace(id_E=torch.tensor([0, 1, 2, 3, 4, -1]))
    unknown_cell = screen.cells._replace(id_E=torch.tensor([0, 1, 2, 3, -1]))
    rows = screen.drug_BK.eq(5).any(dim=1) | screen.cell_B.eq(4)
    assert rows.any()
    stranger = copy.copy(screen)
    stranger.drugs, stranger.cells = unknown, unknown_cell
    assert torch.equal(predict(model, screen)[rows], predict(model, stranger)[rows])


def test_a_dose_far_below_the_curve_acts_as_an_empty_slot() -> None:
    screen = draw_screen(dose=True)
    model = build_model(screen, join="symmetric", drug_drug_rank=2).eval()
    assert screen.dose_BK is not None
    screen.dose_BK[:, 1] = -1e4
    faint = predict(model, screen)
    screen.drug_BK[:, 1] = -1
    assert_equal(faint, predict(model, screen))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table_rank": 2}, "join 'concatenate' has no product terms"),
        ({"drug_drug_rank": -1, "join": "slots"}, "must be 0 or more"),
        ({"head": HeadConfig(widths=[])}, "one width or more"),
        ({"head": HeadConfig(dropout=1.0)}, r"must lie in \[0, 1\)"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**options)


def test_products_of_drugs_are_refused_where_there_is_one_slot() -> None:
    with pytest.raises(ValueError, match="one drug slot"):
        build_model(draw_screen(slots=1), join="slots", drug_drug_rank=2)


def test_configuration_survives_its_plain_form() -> None:
    config = build_model(draw_screen(), join="slots", **PRODUCTS).config
    assert NetworkConfig.from_plain(config.to_plain()) == config


def test_dropout_keeps_the_mean_and_its_share() -> None:
    dropout = ActivationDropout(nn.Identity(), 0.25).train()
    dropout.generator = MaskGenerator(torch.device("cpu"))
    x = dropout(torch.ones(40_000))
    # Standard error of the share: sqrt(.25 * .75 / 40,000) = 0.002.
    assert abs((x == 0).double().mean().item() - 0.25) < 0.01
    assert abs(x.mean().item() - 1) < 0.01
    assert torch.equal(dropout.eval()(torch.ones(5)), torch.ones(5))


def test_layers_without_a_shared_generator_have_masks_of_their_own() -> None:
    torch.manual_seed(3)
    first, second = (ActivationDropout(nn.Identity(), 0.5).train() for _ in range(2))
    x = torch.ones(1000)
    masks = first(x), second(x)
    assert not torch.equal(*masks)
    torch.manual_seed(3)
    assert torch.equal(ActivationDropout(nn.Identity(), 0.5).train()(x), masks[0])


def test_dropout_in_bf16_rounds_the_product_and_not_the_scale() -> None:
    dropout = ActivationDropout(nn.Identity(), 0.05).train()
    dropout.generator = MaskGenerator(torch.device("cpu"))
    x = torch.rand(1000).add(0.5).bfloat16().requires_grad_()
    kept = dropout(x)
    kept.sum().backward()
    scale = 65536 / (65536 - round(0.05 * 65536))
    expected = (x.detach().double() * scale).bfloat16()
    assert torch.equal(kept[kept != 0], expected[kept != 0])
    assert x.grad is not None
    assert torch.equal(x.grad != 0, kept != 0)


@pytest.mark.parametrize("join", ["concatenate", "symmetric"])
def test_a_large_table_encoded_by_chunk_equals_the_whole(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = draw_screen(cells=7, drugs=9, empty=True)
    model = build_model(screen, join=join).eval()
    whole = predict(model, screen).detach()
    monkeypatch.setattr("combo_lightning.model.combo.ENTITIES_AT_ONCE", 2)
    with torch.inference_mode():
        encoded = model.encode(screen.cells, screen.drugs)
        assert_equal(model.respond(encoded, screen.cell_B, screen.drug_BK), whole)


def test_an_index_beyond_the_drugs_is_never_answered() -> None:
    screen = draw_screen(drugs=6)
    model = build_model(screen).eval()
    encoded = model.encode(screen.cells, screen.drugs)
    with pytest.raises(IndexError):
        model.respond(encoded, screen.cell_B, screen.drug_BK + 7)


def test_bf16_is_as_near_to_fp64_as_the_dense_network_in_bf16() -> None:
    screen = draw_screen(rows=400, cells=9, drugs=12)
    model = build_model(screen).eval()
    exact = predict(model, screen).detach()
    model.float()
    single = replace(
        screen,
        cells=screen.cells._replace(features_EF=screen.cells.features_EF.float()),
        drugs=screen.drugs._replace(features_EF=screen.drugs.features_EF.float()),
    )
    errors = []
    for compute in (predict, predict_dense):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            errors.append((compute(model, single).double() - exact).square().mean().sqrt())
    assert 0 < errors[0] <= 2 * errors[1]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_relu_and_dropout_in_one_are_bitwise_relu_then_dropout(dtype: torch.dtype) -> None:
    torch.manual_seed(5)
    x = torch.randn(300, 40).to(dtype)
    x[0, :3] = torch.tensor([0.0, -0.0, float("nan")], dtype=dtype)
    upstream = torch.randn(300, 40).to(dtype)
    found = []
    for first, layer in (
        (nn.Identity(), ActivationDropout(nn.ReLU(), 0.3)),
        (nn.ReLU(), ActivationDropout(nn.Identity(), 0.3)),
    ):
        layer.generator = MaskGenerator(torch.device("cpu"))
        layer.generator.seed([1, 2])
        leaf = x.clone().requires_grad_()
        y = layer(first(leaf))
        y.backward(upstream)
        assert leaf.grad is not None
        found.append((y.detach(), leaf.grad))
    (y, gradient), (y_apart, gradient_apart) = found
    torch.testing.assert_close(y, y_apart, rtol=0, atol=0, equal_nan=True)
    # Where x is NaN the gradient is lost either way: the loss is NaN.
    known = ~x.isnan()
    assert torch.equal(gradient[known], gradient_apart[known])

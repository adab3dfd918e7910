from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from torch import nn

from combo_lightning.model import products
from combo_lightning.model.products import LEAST, Linear, linear, onednn_is_faster

ROWS, INPUTS, OUTPUTS = 130, 391, 400


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("wants_x", [False, True])
def test_onednn_multiplies_and_differentiates_as_torch_does(bias: bool, wants_x: bool) -> None:
    assert ROWS * INPUTS * OUTPUTS >= LEAST
    torch.manual_seed(1)
    x = torch.randn(ROWS, INPUTS)
    layer = nn.Linear(INPUTS, OUTPUTS, bias=bias)
    upstream = torch.randn(ROWS, OUTPUTS)
    found = []
    for multiply in (products._OneDnnLinear.apply, nn.functional.linear):
        leaf = x.clone().requires_grad_(wants_x)
        layer.zero_grad()
        y = multiply(leaf, layer.weight, layer.bias)
        y.backward(upstream)
        gradients = [leaf.grad, *(p.grad for p in layer.parameters())]
        found.append([y.detach(), *(g.clone() for g in gradients if g is not None)])
    for mine, theirs in zip(*found, strict=True):
        # fp32, sums of 400 terms of size 1 in another order.
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-4)


def test_columns_of_a_wider_table_are_multiplied_as_their_copy() -> None:
    # oneDNN's weight gradient takes its plain loops for them: 18 s where 46 ms are due.
    wide, weight = torch.randn(ROWS, 2 * INPUTS), torch.randn(OUTPUTS, INPUTS, requires_grad=True)
    columns = wide[:, :INPUTS]
    product = products._OneDnnLinear.apply(columns, weight, None)
    assert product.grad_fn.saved_tensors[0].is_contiguous()
    expected = nn.functional.linear(columns, weight)
    torch.testing.assert_close(product, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "faster"),
    [
        ("vendor_id : AuthenticAMD\nflags : avx2 avx512f\n", True),
        ("vendor_id : AuthenticAMD\nflags : avx2\n", False),
        ("vendor_id : GenuineIntel\nflags : avx2 avx512f\n", False),
    ],
)
def test_onednn_is_taken_on_amd_with_avx512_alone(text: str, faster: bool, tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(text + "\n\nprocessor : 1\n")
    onednn_is_faster.cache_clear()
    with patch.object(products, "CPUINFO", info):
        assert onednn_is_faster() is faster
    onednn_is_faster.cache_clear()


def test_small_products_other_types_and_autocast_are_torchs_own() -> None:
    x, weight = torch.randn(3, 4), torch.randn(5, 4)
    large, wide = torch.randn(ROWS, INPUTS), torch.randn(OUTPUTS, INPUTS)
    with patch.object(products, "_OneDnnLinear") as onednn:
        assert torch.equal(linear(x, weight, None), nn.functional.linear(x, weight))
        linear(large.double(), wide.double(), None)
        with torch.autocast("cpu", torch.bfloat16):
            assert linear(large, wide, None).dtype == torch.bfloat16
        onednn.apply.assert_not_called()


def test_a_bias_can_be_handed_in() -> None:
    layer = Linear(4, 5, bias=False)
    x, bias = torch.randn(3, 4), torch.randn(5)
    assert torch.equal(layer(x, bias), nn.functional.linear(x, layer.weight, bias))

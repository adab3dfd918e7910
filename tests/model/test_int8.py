"""8-bit products are those of the rounded numbers."""

import pytest
import torch
from torch import nn

from combo_lightning.model.int8 import Int8Linear
from combo_lightning.precision import int8_unit

pytestmark = pytest.mark.skipif(int8_unit() is None, reason="the processor has no 8-bit unit")


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("rows", [1, 40])
def test_the_answer_is_within_the_rounding_of_weights_and_inputs(relu: bool, rows: int) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(70, 30)
    x = torch.randn(rows, 70)
    x = x.relu() if relu else nn.functional.silu(x)
    with torch.no_grad():
        found = Int8Linear(layer, 40, relu=relu)(x)
        wanted = layer(x).relu() if relu else layer(x)
        step_x = (x.max() - x.min().clamp(max=0)) / 255
        step_w = layer.weight.abs().amax(dim=1) / 127
        # Half a step of each factor at most, times the other one.
        bound = 0.5 * (step_x * layer.weight.abs().sum(1) + step_w * x.abs().sum(1, keepdim=True))
    assert ((found - wanted).abs() <= 1.1 * bound + 1e-6).all()
    assert (found - wanted).abs().max() > 0


def test_all_zeros_and_constants_are_answered() -> None:
    layer = nn.Linear(5, 3)
    with torch.no_grad():
        for value in (0.0, 2.0, -3.0):
            x = torch.full((2, 5), value)
            found = Int8Linear(layer, 2, relu=False)(x)
            torch.testing.assert_close(found, layer(x), rtol=0.02, atol=0.02)

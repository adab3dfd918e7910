"""Matrix products of linear layers, by the library that is fast for them here.

torch multiplies fp32 with MKL, which uses half of the vector width of AMD processors with AVX-512;
oneDNN, which torch carries too, uses all of it: 2.2 times the rate on family 26, 1.03 to 1.2 on
family 25, with fp32's own rounding either way (docs/performance.md).

Shapes: R rows, I inputs, O outputs.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# Multiplications of a product from which it pays: the call itself takes 30 microseconds.
LEAST = 1 << 24
CPUINFO = Path("/proc/cpuinfo")


class Linear(nn.Linear):
    """A linear layer through `linear`; the bias may be handed in, where the layer has none."""

    def forward(self, input: Tensor, bias: Tensor | None = None) -> Tensor:
        """Give W x + bias."""
        return linear(input, self.weight, self.bias if bias is None else bias)


def linear(x_RI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """Give x W' + bias, ``[R, O]``, as `nn.functional.linear` does."""
    if (
        x_RI.dtype == weight_OI.dtype == torch.float32
        and len(x_RI) * weight_OI.numel() >= LEAST
        and x_RI.device.type == "cpu"
        and onednn_is_faster()
        and not torch.is_autocast_enabled("cpu")
    ):
        product: Tensor = _OneDnnLinear.apply(x_RI, weight_OI, bias_O)  # type: ignore[no-untyped-call]
        return product
    return nn.functional.linear(x_RI, weight_OI, bias_O)


@cache
def onednn_is_faster() -> bool:
    """Tell whether this is a processor on which oneDNN multiplies fp32 faster than MKL."""
    if not torch.backends.mkldnn.is_available() or not CPUINFO.is_file():  # type: ignore[no-untyped-call]
        return False
    text = CPUINFO.read_text(encoding="utf-8").split("\n\n", 1)[0]
    return "AuthenticAMD" in text and "avx512f" in text


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


class _OneDnnLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # Columns of a wider table would take oneDNN's plain loops: 400 times the time.
        x = x.contiguous()
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.t()) if wants_x else None,
            _product(gradient.t(), x.t()) if wants_weight else None,
            gradient.sum(dim=0) if wants_bias else None,
        )

"""A linear layer in 8-bit integers, for first passes that exact answers follow.

Weights are rounded with a scale for each output, inputs with one scale and offset for a call:
x ~ s (q - z), q in 0..255. Products and sums are exact integers; the result is fp32.

Shapes: B rows, I inputs, O outputs.
"""

import math

import torch
from torch import Tensor, nn


class Int8Linear:
    """The 8-bit form of a layer, through oneDNN (AVX-512 VNNI, AVX VNNI, AMX); CPU only.

    Args:
        layer: The layer.
        rows: The most rows of a call.
        relu: Whether a ReLU follows.
    """

    def __init__(self, layer: nn.Linear, rows: int, *, relu: bool) -> None:
        weight_OI = layer.weight.detach().float()
        self._scale_O = (weight_OI.abs().amax(dim=1) / 127).clamp(min=1e-12)
        rounded_OI = (weight_OI / self._scale_O[:, None]).round().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(rounded_OI, [rows, weight_OI.shape[1]])
        self._zero_O = torch.zeros(len(weight_OI), dtype=torch.int64)
        self._bias_O = layer.bias.detach().float()
        self._after = "relu" if relu else "none"
        self._scaled_BI = torch.empty(rows, weight_OI.shape[1])
        self._rounded_BI = torch.empty(rows, weight_OI.shape[1], dtype=torch.uint8)

    def __call__(self, x_BI: Tensor) -> Tensor:
        """Answer ``[B, O]`` fp32 from ``[B, I]`` fp32; NaN where an input is no finite number."""
        scaled, rounded = self._scaled_BI[: len(x_BI)], self._rounded_BI[: len(x_BI)]
        least, most = (float(x) for x in torch.aminmax(x_BI))
        # 0 must be a whole number of steps, and inside: it is what ReLU gives most often.
        least, most = min(least, 0.0), max(most, 0.0)
        step = (most - least) / 255 or 1.0
        if not math.isfinite(step):
            return x_BI.new_full((len(x_BI), len(self._bias_O)), math.nan)
        zero = round(-least / step)
        torch.add(zero + 0.5, x_BI, alpha=1 / step, out=scaled)
        rounded.copy_(scaled.clamp_(0, 255))
        answer_BO: Tensor = torch.ops.onednn.qlinear_pointwise(
            rounded,
            step,
            zero,
            self._weight,
            self._scale_O,
            self._zero_O,
            self._bias_O,
            1.0,
            0,
            torch.float32,
            self._after,
            [],
            "",
        )
        return answer_BO

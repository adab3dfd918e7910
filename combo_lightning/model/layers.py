"""Small parts shared by encoders and head: activations and dropout from a seeded generator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}
# A unit's fate is one 16-bit draw: four to a 64-bit number, twelve times as fast as `bernoulli_`.
_LEVELS = 1 << 16


def build_activation(name: str) -> nn.Module:
    """Build a nonlinearity by its name in the configuration."""
    return _ACTIVATIONS[name]()


class MaskGenerator:
    """Random 16-bit numbers for dropout masks, set anew for every step.

    On the CPU NumPy's SFC64 draws them: torch's Mersenne twister takes three times as long.

    Args:
        device: Where the masks are needed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.torch_generator = None if device.type == "cpu" else torch.Generator(device)
        self._bits = np.random.SFC64(0)

    def seed(self, words: Sequence[int]) -> None:
        """Start the sequence of some non-negative integers, such as (seed, step, rank)."""
        sequence = np.random.SeedSequence(list(words))
        if self.torch_generator is None:
            self._bits = np.random.SFC64(sequence)
        else:
            state = sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)
            self.torch_generator.manual_seed(int(state))

    def draw(self, shape: Sequence[int]) -> Tensor:
        """Draw int16 numbers, uniform over all of them, in a shape."""
        count = int(np.prod(shape))
        if self.torch_generator is None:
            words = torch.from_numpy(self._bits.random_raw(-(-count // 4)).view(np.int16))
        else:
            words = torch.empty(-(-count // 4), dtype=torch.int64, device=self.device)
            words = words.random_(-(2**63), None, generator=self.torch_generator)
            words = words.view(torch.int16)
        return words[:count].view(*shape)


class ActivationDropout(nn.Module):
    """An activation, then dropout whose masks come from a generator set anew for every step.

    A mask depends on (seed, step, rank) and on the order of draws within the step, and on nothing
    before, so that a run resumes without any saved random state. The probability is rounded to
    1/65536, and units are scaled by what is truly kept.

    Args:
        activation: The activation; `nn.Identity` for dropout alone.
        probability: Probability that a unit is dropped, in [0, 1).

    Source:
        Srivastava et al. 2014 (inverted scaling, as in torch).
    """

    def __init__(self, activation: nn.Module, probability: float) -> None:
        super().__init__()
        self.activation = activation
        self.probability = probability
        self.generator: MaskGenerator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Activate, and drop units while training."""
        dropped = min(round(self.probability * _LEVELS), _LEVELS - 1)
        if not self.training or not dropped:
            activated: Tensor = self.activation(x)
            return activated
        if self.generator is None:
            # Drawn, so that no two layers share their masks.
            self.generator = MaskGenerator(x.device)
            self.generator.seed([int(torch.randint(2**31, ()))])
        bits = self.generator.draw(x.shape)
        keep = torch.empty_like(x, requires_grad=False)
        torch.ge(bits, dropped - _LEVELS // 2, out=keep)
        scale = _LEVELS / (_LEVELS - dropped)
        if isinstance(self.activation, nn.ReLU):
            scaled: Tensor = _ScaledReLU.apply(x, keep, scale)  # type: ignore[no-untyped-call]
        else:
            scaled = _Scaled.apply(self.activation(x), keep, scale)  # type: ignore[no-untyped-call]
        return scaled

    def extra_repr(self) -> str:
        """Show the probability in the module's text."""
        return f"probability={self.probability}"


class _Scaled(torch.autograd.Function):
    """x * keep * scale in one pass, rounded once: bf16 would round the scale itself by 0.2 %."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return torch.addcmul(x.new_zeros(()), x, keep, value=scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        (keep,) = ctx.saved_tensors
        dropped = torch.addcmul(gradient.new_zeros(()), gradient, keep, value=ctx.scale)
        return dropped, None, None


class _ScaledReLU(torch.autograd.Function):
    """relu(x) * keep * scale, rounded once, with the result alone kept for the gradient.

    The result is above 0 just where x is and the unit is kept; the next layer holds it anyway.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, scale: float) -> Tensor:
        h = x.relu()
        torch.addcmul(x.new_zeros(()), h, keep, value=scale, out=h)
        ctx.save_for_backward(h)
        ctx.scale = scale
        return h

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        (h,) = ctx.saved_tensors
        passed = torch.ops.aten.threshold_backward(gradient, h, 0)
        return passed.mul_(ctx.scale), None, None


def set_dropout_generator(network: nn.Module, generator: MaskGenerator | None) -> None:
    """Let every `ActivationDropout` of a network draw from one generator.

    Args:
        network: The network.
        generator: The generator, on the network's device; None: each its own, seeded from torch's
            global one.
    """
    for module in network.modules():
        if isinstance(module, ActivationDropout):
            module.generator = generator

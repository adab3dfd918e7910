"""Small parts shared by encoders and head: activations and dropout from a seeded generator."""

from collections.abc import Sequence
from typing import Any, NamedTuple

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
MASK_LEVELS = 1 << 16


def build_activation(name: str) -> nn.Module:
    """Build a nonlinearity by its name in the configuration."""
    return _ACTIVATIONS[name]()


class Rows(NamedTuple):
    """Which rows of a whole stand here, so that dropout masks are those of the whole.

    Args:
        total: Rows of the whole.
        ranges: Pairs (start, stop) of the rows that are here, in their order, without overlap.
    """

    total: int
    ranges: tuple[tuple[int, int], ...]


class MaskGenerator:
    """Random 16-bit numbers for dropout masks, set anew for every step.

    On the CPU NumPy's PCG64 draws them: torch's Mersenne twister takes three times as long, and
    PCG64 can jump, so that a process draws the rows that it holds and no others.

    Args:
        device: Where the masks are needed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.torch_generator = None if device.type == "cpu" else torch.Generator(device)
        self._bits = np.random.PCG64(0)

    def seed(self, words: Sequence[int]) -> None:
        """Start the sequence of some non-negative integers, such as (seed, step)."""
        sequence = np.random.SeedSequence(list(words))
        if self.torch_generator is None:
            self._bits = np.random.PCG64(sequence)
        else:
            state = sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)
            self.torch_generator.manual_seed(int(state))

    def draw(self, count: int, width: int, rows: Rows | None = None) -> Tensor:
        """Draw int16 numbers, uniform over all of them.

        The sequence moves on by the rows of the whole, whichever of them are here.

        Args:
            count: Rows that are here.
            width: Numbers of a row.
            rows: Where they stand in the whole; None: they are the whole.

        Returns:
            ``[count, width]``.
        """
        # A row begins at a 64-bit word of its own.
        words = -(-width // 4)
        whole = rows or Rows(count, ((0, count),))
        if self.torch_generator is None:
            parts, at = [], 0
            for start, stop in whole.ranges:
                if start > at:
                    self._bits.advance((start - at) * words)
                parts.append(self._bits.random_raw((stop - start) * words))
                at = stop
            if whole.total > at:
                self._bits.advance((whole.total - at) * words)
            drawn = torch.from_numpy(np.concatenate(parts) if len(parts) > 1 else parts[0])
        else:
            all_words = torch.empty(whole.total, words, dtype=torch.int64, device=self.device)
            all_words.random_(-(2**63), None, generator=self.torch_generator)
            drawn = torch.cat([all_words[start:stop] for start, stop in whole.ranges])
        return drawn.view(torch.int16).view(count, 4 * words)[:, :width]


class Drawing(nn.Module):
    """A module that draws masks while training; see `set_dropout_generator`."""

    generator: MaskGenerator | None = None

    def draw(self, count: int, width: int, rows: Rows | None, device: torch.device) -> Tensor:
        """Draw as `MaskGenerator.draw` does, from this module's generator."""
        if self.generator is None:
            # Drawn, so that no two layers share their masks.
            self.generator = MaskGenerator(device)
            self.generator.seed([int(torch.randint(2**31, ()))])
        return self.generator.draw(count, width, rows)


class ActivationDropout(Drawing):
    """An activation, then dropout whose masks come from a generator set anew for every step.

    A mask depends on (seed, step), on the row and on the order of draws within the step, and on
    nothing before, so that a run resumes without any saved random state. The probability is
    rounded to 1/65536, and units are scaled by what is truly kept.

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
        # Set where the units are columns of a wider layer that is cut over processes: the first
        # one's number, and the width of the whole.
        self.columns: tuple[int, int] | None = None

    def forward(self, x: Tensor, rows: Rows | None = None) -> Tensor:
        """Activate, and drop units while training.

        Args:
            x: ``[.., units]``.
            rows: Where the rows of `x` stand among those that the masks are drawn for; None: they
                are all.
        """
        dropped = min(round(self.probability * MASK_LEVELS), MASK_LEVELS - 1)
        if not self.training or not dropped:
            activated: Tensor = self.activation(x)
            return activated
        units = x.shape[-1]
        first, width = self.columns or (0, units)
        bits = self.draw(x.shape[:-1].numel(), width, rows, x.device)[:, first : first + units]
        keep = torch.empty_like(x, requires_grad=False)
        torch.ge(bits.reshape(x.shape), dropped - MASK_LEVELS // 2, out=keep)
        scale = MASK_LEVELS / (MASK_LEVELS - dropped)
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
    """Let all that draws in a network (`ActivationDropout`, `StudyTerm`) use one generator.

    Args:
        network: The network.
        generator: The generator, on the network's device; None: each its own, seeded from torch's
            global one.
    """
    for module in network.modules():
        if isinstance(module, Drawing):
            module.generator = generator

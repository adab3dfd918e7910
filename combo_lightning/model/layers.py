"""Small parts shared by encoders and head: activations and dropout from a seeded generator."""

import torch
from torch import Tensor, nn

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}


def build_activation(name: str) -> nn.Module:
    """Build a nonlinearity by its name in the configuration."""
    return _ACTIVATIONS[name]()


class SeededDropout(nn.Module):
    """Dropout whose masks come from a generator that is set anew for every step.

    A mask depends on (seed, step, rank) and on the order of draws within the step, and on nothing
    before, so that a run resumes without any saved random state.

    Args:
        probability: Probability that a unit is dropped, in [0, 1).

    Source:
        Srivastava et al. 2014 (inverted scaling, as in torch).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of `x` while training; the identity otherwise."""
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        mask = torch.empty_like(x).bernoulli_(keep, generator=self.generator)
        return x * mask.div_(keep)

    def extra_repr(self) -> str:
        """Show the probability in the module's text."""
        return f"probability={self.probability}"


def set_dropout_generator(network: nn.Module, generator: torch.Generator | None) -> None:
    """Let every `SeededDropout` of a network draw from one generator.

    Args:
        network: The network.
        generator: The generator, on the network's device; None: torch's global one.
    """
    for module in network.modules():
        if isinstance(module, SeededDropout):
            module.generator = generator

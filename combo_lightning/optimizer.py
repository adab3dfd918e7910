"""The optimizer's options and the learning rate's course."""

import math
from dataclasses import dataclass, field
from typing import Literal

from combo_lightning.errors import InputError


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its schedule; the defaults are the published ones.

    Args:
        name: "adam" (weight decay is an L2 term) or "adamw" (decoupled).
        learning_rate: Peak learning rate.
        betas: Decay of the two moments.
        weight_decay: Weight decay of all weights but the drug x line table's.
        table_weight_decay: Weight decay of the drug x line table, which decides its use.
        schedule: "constant", or "warmup_cosine": linear from 1/20 of the peak, then a cosine down
            to 1/1000 of it, over all steps of the fit.
        warmup_fraction: Share of all steps that the warm-up takes.
    """

    name: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    weight_decay: float = 0.0
    table_weight_decay: float = 0.0
    schedule: Literal["constant", "warmup_cosine"] = "constant"
    warmup_fraction: float = 0.15

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise InputError(f"optimizer.learning_rate is {self.learning_rate}; make it above 0")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"optimizer.betas is {self.betas}; give two numbers in [0, 1)")
        if min(self.weight_decay, self.table_weight_decay) < 0:
            raise InputError("optimizer.weight_decay and table_weight_decay must be 0 or more")
        if not 0 <= self.warmup_fraction < 1:
            raise InputError(
                f"optimizer.warmup_fraction is {self.warmup_fraction}; it must lie in [0, 1)"
            )


def warmup_cosine(step: int, steps: int, warmup_fraction: float) -> float:
    """Give the share of the peak learning rate at a step.

    Args:
        step: Optimizer step, from 0.
        steps: All steps of the fit.
        warmup_fraction: Share of them that rises linearly from 1/20 to 1; the rest falls along a
            cosine to 1/1000.
    """
    warmup = max(1.0, warmup_fraction * steps)
    if step < warmup:
        return 0.05 + 0.95 * step / warmup
    done = min(1.0, (step - warmup) / max(1.0, steps - warmup))
    return 0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * done))

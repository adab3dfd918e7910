"""The optimizer, its options, and the learning rate's course."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import nn

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


def configure_optimizer(
    named: Mapping[str, nn.Parameter], config: OptimizerConfig, trainer: pl.Trainer
) -> Any:
    """Build the optimizer and its schedule, as ``configure_optimizers`` returns them.

    Args:
        named: The weights, or the parts of them that are here, by name.
        config: What to build.
        trainer: Of the fit, with its data module.
    """
    optimizer = build_optimizer(named, config)
    if config.schedule == "constant":
        return optimizer
    steps = count_steps(trainer)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, steps, config.warmup_fraction)
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def build_optimizer(
    named: Mapping[str, nn.Parameter], config: OptimizerConfig
) -> torch.optim.Adam:
    """Build the optimizer, with the drug x line table in a group of its own.

    Args:
        named: The weights, or the parts of them that are here, by name.
        config: What to build.
    """
    table = [(n, p) for n, p in named.items() if n.endswith("join.table.weight")]
    rest = [(n, p) for n, p in named.items() if not n.endswith("join.table.weight")]
    groups: list[dict[str, Any]] = [{"params": rest, "weight_decay": config.weight_decay}]
    if table:
        groups.append({"params": table, "weight_decay": config.table_weight_decay})
    adam = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    beta_1, beta_2 = config.betas
    optimizer = adam(groups, lr=config.learning_rate, betas=(beta_1, beta_2), fused=True)
    # Lightning refuses to clip before a fused step that may unscale gradients itself; neither
    # fp32 nor bf16 scales any.
    optimizer._step_supports_amp_scaling = False
    return optimizer


def count_steps(trainer: pl.Trainer) -> int:
    """Count the optimizer's steps over the whole fit.

    Lightning's ``estimated_stepping_batches`` would build the training batches too early: a
    resumed run would then forget its position in the epoch.

    Args:
        trainer: Of the fit, with its data module.

    Raises:
        InputError: If the fit has no stated end.
    """
    batches = len(trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
    limit = trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * (limit or 1.0))
    limits = []
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        steps = math.ceil(batches / trainer.accumulate_grad_batches)
        limits.append(steps * trainer.max_epochs)
    if trainer.max_steps > 0:
        limits.append(trainer.max_steps)
    if not limits:
        raise InputError(
            "schedule 'warmup_cosine' needs an end: set trainer.max_epochs or trainer.max_steps"
        )
    return max(1, min(limits))

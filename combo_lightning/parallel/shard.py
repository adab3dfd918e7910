"""Sharded data parallel (FSDP2): each process keeps a part of every weight and of its moments.

The large layers are units of their own, gathered when they compute and let go after it; what is
small is one unit with the network.
"""

from typing import Any

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from combo_lightning.model import ComboModel

# Weights of a module from which it is a unit of its own: smaller ones cost more messages than
# memory.
UNIT_SIZE = 1 << 16


def shard_network(network: ComboModel, mesh: Any, *, bf16: bool) -> None:
    """Shard a network's weights over a mesh, in place.

    Args:
        network: The network, equal on all processes; perhaps cut by `cut_network` already.
        mesh: One-dimensional; or two-dimensional, replicas x shards (HSDP).
        bf16: Whether large layers travel and multiply in bf16; gradients are summed in fp32.
    """
    policy = (
        MixedPrecisionPolicy(torch.bfloat16, torch.float32) if bf16 else MixedPrecisionPolicy()
    )
    for module in list(network.modules()):
        if module is not network and _own_size(module) >= UNIT_SIZE:
            fully_shard(module, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
    # The root too lets go after a forward pass: else an evaluation would miss what was written
    # into the shards after the last one.
    fully_shard(network, mesh=mesh, reshard_after_forward=True)


def gather_small_weights(network: nn.Module) -> None:
    """Gather what the network itself holds, for an evaluation that calls its parts directly."""
    if isinstance(network, FSDPModule):
        # Before the first training step the network does not know yet that it is the root of its
        # units, and each would take itself for one; torch has no public call for it.
        network._get_fsdp_state()._lazy_init()
        network.unshard()


def release_small_weights(network: nn.Module) -> None:
    """Undo `gather_small_weights`, so that later changes of the weights are seen."""
    if isinstance(network, FSDPModule):
        network.reshard()


def _own_size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters(recurse=False))

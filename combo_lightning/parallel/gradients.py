"""Weights, gradients and moments of which each process holds a part."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


class LocalParts:
    """The parts of a network's weights that are here, as plain parameters for an optimizer.

    They share their memory with the network's weights. So every optimizer steps as on one
    device, in one fused call, whatever the mesh.

    Args:
        network: Whose weights; a weight that is whole stands for itself.
    """

    def __init__(self, network: nn.Module) -> None:
        self._parts: dict[str, nn.Parameter] = {}
        self._spread: list[tuple[nn.Parameter, nn.Parameter]] = []
        for name, whole in network.named_parameters():
            part = whole
            if isinstance(whole, DTensor):
                part = nn.Parameter(whole.to_local().detach())
                self._spread.append((whole, part))
            self._parts[name] = part

    def named(self) -> Mapping[str, nn.Parameter]:
        """Give the parts by the weights' names."""
        return self._parts

    def take_gradients(self) -> None:
        """Hand the weights' gradients to their parts; before the optimizer steps."""
        for whole, part in self._spread:
            part.grad = None if whole.grad is None else local(whole.grad)


def clip_norm(parameters: Sequence[nn.Parameter], largest: float) -> None:
    """Scale all gradients so that their common norm is at most `largest`, as in torch.

    All processes call it together; each gets the norm of the whole network's gradient.

    Args:
        parameters: Weights, whole or spread over processes.
        largest: The bound.

    Source:
        ``torch.nn.utils.clip_grad_norm_``, which takes no mixture of meshes.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    squares: dict[Any, Tensor] = {}
    for gradient in gradients:
        mesh = gradient.device_mesh if isinstance(gradient, DTensor) else None
        here = local(gradient).double().square().sum()
        squares[mesh] = squares[mesh] + here if mesh in squares else here
    norm = torch.stack([_over_mesh(square, mesh) for mesh, square in squares.items()]).sum().sqrt()
    scale = (largest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        here = local(gradient)
        here.mul_(scale.to(here.dtype))


def local(tensor: Tensor) -> Tensor:
    """Give the part of a tensor that is here."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def like_weight(part: Tensor, weight: Tensor) -> Tensor:
    """Give a part that is here the whole's shape: spread as its weight is; a number as it is."""
    if not part.dim() or not isinstance(weight, DTensor):
        return part
    whole = torch.zeros_like(weight, requires_grad=False)
    assert isinstance(whole, DTensor)
    whole.to_local().copy_(part)
    return whole


def spread_like(whole: Tensor, weight: Tensor) -> Tensor:
    """Spread a tensor that every process holds whole as a weight is spread, without messages."""
    if not isinstance(weight, DTensor):
        return whole
    return distribute_tensor(
        whole.to(weight.device), weight.device_mesh, weight.placements, src_data_rank=None
    )


def map_moments(
    state: Mapping[str, Any], change: Callable[[str, Tensor], Tensor]
) -> dict[str, Any]:
    """Change every tensor of an optimizer's state, given its weight's name and itself."""
    names = {
        index: name
        for group in state["param_groups"]
        for index, name in zip(group["params"], group["param_names"], strict=True)
    }
    moments = {
        index: {kind: change(names[index], value) for kind, value in kinds.items()}
        for index, kinds in state["state"].items()
    }
    return {**state, "state": moments}


def _over_mesh(square: Tensor, mesh: Any) -> Tensor:
    """Sum over the processes of a mesh that hold different parts."""
    if mesh is not None:
        for name in mesh.mesh_dim_names:
            # Replicas hold the same part.
            if name != "replicate":
                dist.all_reduce(square, group=mesh.get_group(name))
    return square

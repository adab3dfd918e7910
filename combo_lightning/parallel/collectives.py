"""Collective operations with gradients, for any backend and for bf16.

Shapes: R rows that are here, N rows of all processes, X columns.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

# torch 2.13 renamed them.
_gather_into = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_scatter_into = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


def gather_rows(x_RX: Tensor, counts: Sequence[int], group: Any) -> Tensor:
    """Put the rows of all processes one after the other; the gradient is summed over processes.

    All-gather forward, reduce-scatter backward. All processes of the group call it together.

    Args:
        x_RX: Rows that are here, as many as `counts` says of this process.
        counts: Rows of each process, in the order of their ranks.
        group: The process group.

    Returns:
        ``[N, X]``, equal on all processes.
    """
    gathered: Tensor = _GatherRows.apply(x_RX, tuple(counts), group)  # type: ignore[no-untyped-call]
    return gathered


def all_reduce_gradient(x: Tensor, group: Any) -> Tensor:
    """Give `x` as it is; its gradient is summed over processes.

    It stands before a layer that is cut by outputs: each process has the gradient of its outputs.
    """
    same: Tensor = _AllReduceGradient.apply(x, group)  # type: ignore[no-untyped-call]
    return same


def all_reduce(x: Tensor, group: Any) -> Tensor:
    """Sum `x` over processes; the gradient passes as it is.

    It stands after a layer that is cut by inputs: each process has the products of its inputs.
    """
    total: Tensor = _AllReduce.apply(x, group)  # type: ignore[no-untyped-call]
    return total


def gather_columns(x: Tensor, group: Any) -> Tensor:
    """Put the columns of all processes side by side; the gradient is that of one's own columns.

    All processes must go on alike: each holds the whole gradient already.
    """
    whole: Tensor = _GatherColumns.apply(x, group)  # type: ignore[no-untyped-call]
    return whole


def _summable(x: Tensor) -> Tensor:
    """Copy to what is summed without loss, and by every backend: bf16 to fp32."""
    wide = torch.float32 if x.dtype in (torch.bfloat16, torch.float16) else x.dtype
    return x.detach().to(wide, copy=True, memory_format=torch.contiguous_format)


def _all_gather(x: Tensor, group: Any) -> Tensor:
    """Stack equal shapes of all processes along a new first dim."""
    # bf16 as bytes, which every backend moves.
    bits = x.contiguous()
    if x.dtype == torch.bfloat16:
        bits = bits.view(torch.uint8)
    size = dist.get_world_size(group)
    out = bits.new_empty(size * bits.shape[0], *bits.shape[1:])
    _gather_into(out, bits, group=group)
    return out.view(x.dtype).view(size, *x.shape)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, counts: tuple[int, ...], group: Any) -> Tensor:
        ctx.counts, ctx.group = counts, group
        most = max(counts)
        padded = torch.nn.functional.pad(x, (0, 0, 0, most - len(x)))
        stacked = _all_gather(padded, group)
        if min(counts) == most:
            return stacked.flatten(0, 1)
        return torch.cat([rows[:count] for rows, count in zip(stacked, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        counts: tuple[int, ...] = ctx.counts
        most = max(counts)
        wide = _summable(gradient)
        if min(counts) != most:
            parts = torch.split(wide, list(counts))
            wide = torch.stack(
                [torch.nn.functional.pad(part, (0, 0, 0, most - len(part))) for part in parts]
            )
        mine = wide.new_empty(most, gradient.shape[1])
        _scatter_into(mine, wide.reshape(-1, gradient.shape[1]), group=ctx.group)
        here = counts[dist.get_rank(ctx.group)]
        return mine[:here].to(gradient.dtype), None, None


class _AllReduceGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        total = _summable(gradient)
        dist.all_reduce(total, group=ctx.group)
        return total.to(gradient.dtype), None


class _AllReduce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        total = _summable(x)
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _GatherColumns(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group, ctx.width = group, x.shape[1]
        return torch.cat(list(_all_gather(x, group)), dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        start = dist.get_rank(ctx.group) * ctx.width
        return gradient[:, start : start + ctx.width].contiguous(), None

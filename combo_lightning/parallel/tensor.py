"""Tensor parallel: layers cut over processes, by outputs and then by inputs.

A layer cut by outputs (columns) leaves each process some of the units; the next one, cut by its
inputs (rows), takes just those and sums the products of all processes. So two layers cost one sum
forward and one backward.

Source:
    Shoeybi et al. 2019, "Megatron-LM", arXiv:1909.08053.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard

from combo_lightning.errors import InputError
from combo_lightning.model import ComboModel
from combo_lightning.model.encoder import Encoder
from combo_lightning.model.products import linear
from combo_lightning.parallel.collectives import all_reduce, all_reduce_gradient, gather_columns
from combo_lightning.parallel.gradients import local

# From this many input features on, an encoder's first layer is cut by its inputs: each process
# then needs some of the features only.
WIDE_INPUTS = 20_000


class PlannedMesh:
    """The mesh of processes that are not there yet: a network is cut for its first, to see it fit.

    Args:
        size: Its processes.
    """

    def __init__(self, size: int) -> None:
        self._size = size

    def size(self) -> int:
        """How many processes there will be."""
        return self._size

    def get_local_rank(self) -> int:
        """The first."""
        return 0

    def get_group(self) -> None:
        """Give none: nothing can be sent."""


Mesh = DeviceMesh | PlannedMesh


class ColumnLinear(nn.Module):
    """A linear layer of which each process has some of the outputs.

    Args:
        layer: The whole layer, equal on all processes.
        mesh: The tensor-parallel mesh, one-dimensional.
        gather: Whether every process gets all outputs.
    """

    def __init__(self, layer: nn.Linear, mesh: Mesh, *, gather: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight = _cut(layer.weight, mesh, 0)
        own_bias: Tensor | None = layer.bias
        self.bias = None if own_bias is None else _cut(own_bias, mesh, 0)
        self._group = mesh.get_group()
        self._first = mesh.get_local_rank() * (self.out_features // mesh.size())
        self._gather = gather

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Give this process's outputs, or all; `bias`: a whole one, for a layer without."""
        weight = local(self.weight)
        if self.bias is not None:
            bias = local(self.bias)
        elif bias is not None:
            whole = all_reduce_gradient(bias, self._group)
            bias = whole[self._first : self._first + len(weight)]
        y = linear(all_reduce_gradient(x, self._group), weight, bias)
        return gather_columns(y, self._group) if self._gather else y


class RowLinear(nn.Module):
    """A linear layer of which each process has some of the inputs; all get all outputs.

    Args:
        layer: The whole layer, equal on all processes.
        mesh: The tensor-parallel mesh, one-dimensional.
    """

    def __init__(self, layer: nn.Linear, mesh: Mesh) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight = _cut(layer.weight, mesh, 1)
        self.bias = layer.bias
        self._group = mesh.get_group()

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Give all outputs from this process's inputs; `bias`: one for a layer without."""
        y = linear(x, local(self.weight))
        # Summed in fp32, then rounded once with the bias.
        total = all_reduce(y, self._group)
        bias = self.bias if self.bias is not None else bias
        return (total if bias is None else total + bias).to(y.dtype)


def input_range(features: int, rank: int, size: int) -> tuple[int, int]:
    """Give the range of an entity's features that a process reads; all unless there are many."""
    if features < WIDE_INPUTS or size == 1:
        return 0, features
    step = -(-features // size)
    return min(rank * step, features), min((rank + 1) * step, features)


def cut_network(network: ComboModel, mesh: Mesh) -> None:
    """Cut a network's layers over a tensor-parallel mesh, in place.

    Args:
        network: The whole network, equal on all processes.
        mesh: The tensor-parallel mesh, one-dimensional.

    Raises:
        InputError: If a width does not divide by the mesh's size.
    """
    cut_cells = _cut_encoder(network.cell_encoder, mesh, "cell_encoder")
    cut_drugs = _cut_encoder(network.drug_encoder, mesh, "drug_encoder")
    join = network.join
    join.cell = _after(join.cell, mesh, "join", cut=cut_cells)  # type: ignore[assignment]
    for k, layer in enumerate(join.drug):
        join.drug[k] = _after(layer, mesh, "join", cut=cut_drugs)
    if join.gate is not None:
        gate = join.gate
        gate.cell_shift = _after(gate.cell_shift, mesh, "join", cut=cut_cells)  # type: ignore[assignment]
        gate.drug_shift = _after(gate.drug_shift, mesh, "join", cut=cut_drugs)  # type: ignore[assignment]
    cut = False
    for i, layer in enumerate(network.head):
        assert isinstance(layer, nn.Linear)
        where = f"head.widths[{i if cut else i + 1}]"
        if cut:
            network.head[i] = _rows(layer, mesh, where)
        elif i + 1 < len(network.head):
            network.head[i] = _columns(layer, mesh, where, gather=False)
            _cut_masks(network.activate[i + 1], layer, mesh)
        cut = not cut


def _cut_encoder(encoder: Encoder, mesh: Mesh, name: str) -> bool:
    """Cut an encoder; tell whether its output stays cut."""
    cut = False
    last = len(encoder.layers) - 1
    for i, layer in enumerate(encoder.layers):
        assert isinstance(layer, nn.Linear)
        if cut:
            encoder.layers[i] = _rows(layer, mesh, f"{name}.widths[{i - 1}]")
            cut = False
        elif i == 0 and layer.in_features >= WIDE_INPUTS:
            encoder.layers[i] = RowLinear(layer, mesh)
        else:
            # A normalisation needs all units.
            cut = isinstance(encoder.norms[i], nn.Identity)
            where = f"{name}.widths[{i}]"
            encoder.layers[i] = _columns(layer, mesh, where, gather=not cut)
            if cut:
                _cut_masks(encoder.activate[i], layer, mesh)
            if cut and i == last and encoder.id_projection is not None:
                projection = _columns(encoder.id_projection, mesh, where, gather=False)
                encoder.id_projection = projection  # type: ignore[assignment]
    return cut


def _after(layer: nn.Module, mesh: Mesh, where: str, *, cut: bool) -> nn.Module:
    return _rows(layer, mesh, where) if cut else _columns(layer, mesh, where, gather=True)


def _columns(layer: nn.Module, mesh: Mesh, where: str, *, gather: bool) -> ColumnLinear:
    assert isinstance(layer, nn.Linear)
    _check_width(layer.out_features, mesh, where)
    return ColumnLinear(layer, mesh, gather=gather)


def _rows(layer: nn.Module, mesh: Mesh, where: str) -> RowLinear:
    assert isinstance(layer, nn.Linear)
    _check_width(layer.in_features, mesh, where)
    return RowLinear(layer, mesh)


def _check_width(width: int, mesh: Mesh, where: str) -> None:
    if width % mesh.size():
        hint = "head.widths[0] and the ranks" if where == "join" else where
        raise InputError(
            f"model.network.{where} is {width} wide, which cannot be cut into "
            f"tensor_parallel_size {mesh.size()} equal parts; change {hint} to a multiple of "
            f"{mesh.size()}, or tensor_parallel_size"
        )


def _cut_masks(activate: Any, layer: nn.Linear, mesh: Mesh) -> None:
    width = layer.out_features
    activate.columns = (mesh.get_local_rank() * (width // mesh.size()), width)


def _cut(whole: Tensor, mesh: Mesh, dim: int) -> nn.Parameter:
    """Keep this process's chunk of a tensor that is equal on all processes."""
    chunks = whole.detach().chunk(mesh.size(), dim=dim)
    chunk = chunks[mesh.get_local_rank()].clone(memory_format=torch.contiguous_format)
    if isinstance(mesh, PlannedMesh):
        return nn.Parameter(chunk)
    cut = DTensor.from_local(
        chunk, mesh, [Shard(dim)], run_check=False, shape=whole.shape, stride=whole.stride()
    )
    return nn.Parameter(cut)

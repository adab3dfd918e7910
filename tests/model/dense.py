"""The dense twin: the same network computed row by row, as published, with the same weights.

It knows nothing of entities: it stacks features into rows, joins by concatenation and multiplies
one weight matrix. Its dropout draws from the same generator in the documented order.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from combo_lightning.model import ComboModel, EntityTable
from combo_lightning.model.encoder import Encoder


@dataclass
class Screen:
    """A small random screen: tables, rows and doses."""

    cells: EntityTable
    drugs: EntityTable
    cell_B: Tensor
    drug_BK: Tensor
    dose_BK: Tensor | None


def draw_screen(
    rows: int = 12,
    slots: int = 2,
    cells: int = 5,
    drugs: int = 6,
    empty: bool = False,
    dose: bool = False,
) -> Screen:
    draw = torch.Generator().manual_seed(5)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=draw, dtype=torch.float64)

    drug_BK = torch.randint(0, drugs, (rows, slots), generator=draw)
    if empty:
        drug_BK[: rows // 3, 1:] = -1
    return Screen(
        EntityTable(normal(cells, 7), torch.arange(cells)),
        EntityTable(normal(drugs, 9), torch.arange(drugs)),
        torch.randint(0, cells, (rows,), generator=draw),
        drug_BK,
        normal(rows, slots) if dose else None,
    )


def encode_dense(encoder: Encoder, x_RF: Tensor, id_R: Tensor) -> Tensor:
    h = x_RF
    for i, layer in enumerate(encoder.layers):
        assert isinstance(layer, nn.Linear)
        z = h @ layer.weight.T + layer.bias
        if i == len(encoder.layers) - 1 and encoder.id_embedding and encoder.id_projection:
            z = z + encoder.id_embedding.weight[id_R] @ encoder.id_projection.weight.T
        h = encoder.activate[i](encoder.norms[i](z))
    return h


def predict_dense(model: ComboModel, screen: Screen) -> Tensor:
    """Predict by concatenating rows; without product terms and doses."""
    join, slots = model.join, model.sizes.num_slots
    cell = encode_dense(model.cell_encoder, screen.cells.features_EF[screen.cell_B], screen.cell_B)
    slot_KB = screen.drug_BK.clamp(min=0).T.reshape(-1)
    drugs = encode_dense(model.drug_encoder, screen.drugs.features_EF[slot_KB], slot_KB)
    present = [(screen.drug_BK[:, k : k + 1] >= 0) for k in range(slots)]
    joined = [d * p for d, p in zip(drugs.chunk(slots), present, strict=True)]
    weights = [join.cell.weight]
    for k in range(slots):
        linear = join.drug[min(k, len(join.drug) - 1)]
        assert isinstance(linear, nn.Linear)
        weights.append(linear.weight)
    z = torch.cat([cell, *joined], dim=1) @ torch.cat(weights, dim=1).T + join.bias
    h = model.activate[0](z)
    for layer, activate in zip(model.head[:-1], model.activate[1:], strict=True):
        h = activate(layer(h))
    response: Tensor = model.head[-1](h).squeeze(1)
    return response

"""Many drug pairs in one cell line at a time: what a screen of all pairs spends its time in.

In one line (and at one dose) everything of the join but its products of two drugs depends on one
drug, so that it is computed once a drug:

z(c, a, b) = own_1(c, a) + own_2(c, b) + W (left(c, a) * right(c, b))
y0(c, a, b) = left'(c, a) . right'(c, b)

with * element by element, and left, right of width ``drug_drug_rank + 2 table_rank``. A pair costs
one sum and the head's products, in buffers that are made once.

Shapes: B pairs, A and E drugs of a block in the first and second place, H width of the join, R and
S widths of the two products.
"""

from itertools import permutations
from typing import NamedTuple

import torch
from torch import Tensor, nn

from combo_lightning.model.combo import ComboModel, Encoded
from combo_lightning.model.int8 import Int8Linear
from combo_lightning.model.layers import build_activation
from combo_lightning.model.products import linear

# Pairs answered at once: 4 MB of activations (bf16, width 1000) stay in a processor's cache.
PAIRS_AT_ONCE = 2048
# On a GPU the work of a launch must outlast the launch.
PAIRS_AT_ONCE_GPU = 1 << 16


class _Side(NamedTuple):
    """What one drug of a pair brings, one row a drug."""

    own_EH: Tensor
    product_ER: Tensor | None
    shortcut_ES: Tensor | None


class PairScorer:
    """Answers pairs of drugs, in lower precision if asked; inference only.

    Usage: `load_block` (drugs of a block), `load_line` (for each line), `score` (any pairs of it).

    Args:
        network: The trained network; two slots of it are used, others stay empty.
        encoded: Its cell lines and drugs, in the network's own precision.
        dtype: Arithmetic of sums and products; the response itself is never rounded to it.
            `torch.qint8`: sums in fp32, and the head's products in int8 (CPU only), with a scale
            for each output of a layer and one for all inputs of a call.
        dose: Standardised dose of both drugs, where the response is per dose.
        study: The study in which pairs are answered; -1: unknown.
    """

    def __init__(
        self,
        network: ComboModel,
        encoded: Encoded,
        dtype: torch.dtype,
        dose: float | None = None,
        study: int = -1,
    ) -> None:
        self.network = network
        self.encoded = encoded
        self.dtype = torch.float32 if dtype == torch.qint8 else dtype
        self.dose = dose
        self._study_1H: Tensor | None = None
        if network.study is not None:
            self._study_1H = network.study(encoded.cell_id_E.new_tensor([study]))
        slots = network.sizes.num_slots
        # With one weight for all slots, or in the given order, the first two slots are all.
        apart = network.config.join == "slots" and slots > 1
        self.placements = list(permutations(range(slots), 2)) if apart else [(0, 1)]
        *hidden, last = [layer for layer in network.head if isinstance(layer, nn.Linear)]
        width = network.join.bias.shape[0]
        self._activation = build_activation(network.config.head.activation)
        if isinstance(self._activation, nn.ReLU | nn.SiLU | nn.ELU):
            self._activation.inplace = True
        self._layers = [(x.weight.to(self.dtype), x.bias.to(self.dtype)) for x in hidden]
        self._last, self._last_bias = last.weight.T.contiguous(), last.bias
        widths = [width, *(len(weight) for weight, _ in self._layers)]
        device = network.join.bias.device
        self.pairs_at_once = PAIRS_AT_ONCE if device.type == "cpu" else PAIRS_AT_ONCE_GPU
        self._relu = isinstance(self._activation, nn.ReLU)
        self._int8_layers: list[Int8Linear] = []
        if dtype == torch.qint8:
            rows = self.pairs_at_once
            self._int8_layers = [Int8Linear(x, rows, relu=self._relu) for x in hidden]
        hidden_B = [torch.empty(self.pairs_at_once, w, device=device) for w in [*widths, width]]
        *self._hidden, self._second = [x.to(self.dtype) for x in hidden_B]
        self._final = self._hidden[-1].to(last.weight.dtype)
        self._mix = {placement: self._mixing(placement) for placement in self.placements}
        self._blocks: tuple[dict[int, Tensor], dict[int, Tensor]] = ({}, {})
        self._ids: tuple[Tensor, Tensor] = (torch.empty(0), torch.empty(0))
        self._constant: dict[int, _Side] = {}
        self._sides: dict[tuple[int, int], tuple[_Side, _Side]] = {}

    @property
    def _varies_by_line(self) -> bool:
        """Whether what the second drug brings differs from line to line."""
        join = self.network.join
        return not (join.gate is None and join.cell_drug is None and join.table is None)

    def _mixing(self, placement: tuple[int, int]) -> Tensor | None:
        """Put the weights of the products of two drugs side by side, ``[R, H]``."""
        join = self.network.join
        parts = [] if join.drug_drug is None else [join.drug_drug.weight]
        if join.table is not None:
            maps = [join.table_product[min(s, len(join.table_product) - 1)] for s in placement]
            parts += [m.weight for m in maps if isinstance(m, nn.Linear)]
        return torch.cat(parts, dim=1).T.contiguous().to(self.dtype) if parts else None

    def load_block(self, first_A: Tensor, second_E: Tensor) -> None:
        """Take the drugs that pairs will name, by their places in this block.

        Args:
            first_A: Rows of `encoded` of the drugs in the first place, int64.
            second_E: Those of the second place; the last row of `encoded` is the empty slot.
        """
        self._blocks = (self._rows(0, first_A), self._rows(1, second_E))
        self._ids = (self.encoded.drug_id_E[first_A], self.encoded.drug_id_E[second_E])
        self._constant.clear()

    def _rows(self, side: int, rows: Tensor) -> dict[int, Tensor]:
        tables = self.encoded.drug_KEX
        # A network of one slot has nothing to add in a second one.
        last = len(tables) - 1
        return {p[side]: tables[min(p[side], last)][rows] for p in self.placements}

    def load_line(self, cell: int) -> None:
        """Compute what depends on one drug of the block in one line (a row of `encoded`)."""
        self._sides = {
            (s, t): (self._side(0, s, cell), self._side(1, t, cell)) for s, t in self.placements
        }

    def _side(self, side: int, slot: int, cell: int) -> _Side:
        if side and slot in self._constant:
            return self._constant[slot]
        join = self.network.join
        drug_EX, id_E = self._blocks[side][slot], self._ids[side]
        num_cell = sum(join.cell_parts)
        cell_1X = self.encoded.cell_EX[cell : cell + 1]
        cell_1H, cell_1R = torch.split(cell_1X[:, :num_cell], join.cell_parts, dim=1)
        dose_E = None if self.dose is None else drug_EX.new_full((len(drug_EX),), self.dose)
        drug_EJ = join.act(drug_EX, cell_1X[:, num_cell:], dose_E)
        own, pair, mixed, partner, shortcut = torch.split(drug_EJ, join.drug_parts, dim=1)
        if join.cell_drug is not None:
            own = own + join.cell_drug(cell_1R * mixed)
        if not side:
            own = own + (cell_1H if self._study_1H is None else cell_1H + self._study_1H)
        factors = [] if join.drug_drug is None else [pair]
        straight: list[Tensor] = []
        if join.table is not None:
            u = join.table(slot, id_E, self.encoded.cell_id_E[cell].expand(len(id_E)))
            factors += [partner, u] if side else [u, partner]
            straight = [shortcut, u] if side else [u, shortcut]
        found = _Side(
            own.to(self.dtype),
            torch.cat(factors, dim=1).to(self.dtype) if factors else None,
            torch.cat(straight, dim=1) if straight else None,
        )
        if side and not self._varies_by_line:
            self._constant[slot] = found
        return found

    def score(self, first_B: Tensor, second_B: Tensor, weight_BP: Tensor | None = None) -> Tensor:
        """Answer pairs in the loaded line.

        Args:
            first_B: Place in the block of each pair's first drug, int64; at most `pairs_at_once`.
            second_B: That of its second drug.
            weight_BP: Weight of each of `placements`; None: there is one.

        Returns:
            Standardised responses ``[B]``.
        """
        if weight_BP is None:
            return self._place(self.placements[0], first_B, second_B)
        answer_B = weight_BP.new_zeros(len(first_B))
        for weight_B, placement in zip(weight_BP.T, self.placements, strict=True):
            if weight_B.any():
                answer_B += weight_B * self._place(placement, first_B, second_B)
        return answer_B

    def _hidden_layers(self, h: Tensor) -> Tensor:
        for layer in self._int8_layers:
            h = layer(h) if self._relu else self._activation(layer(h))
        if self._int8_layers:
            return h
        for (weight, bias), out in zip(self._layers, self._hidden[1:], strict=True):
            if self.dtype == torch.float32:
                # Perhaps by a faster library, which has no place for its result.
                h = self._activation(linear(h, weight, bias))
            else:
                h = self._activation(torch.addmm(bias, h, weight.T, out=out[: len(h)]))
        return h

    def _place(self, placement: tuple[int, int], first_B: Tensor, second_B: Tensor) -> Tensor:
        first, second = self._sides[placement]
        rows = len(first_B)
        z, other = self._hidden[0][:rows], self._second[:rows]
        torch.index_select(first.own_EH, 0, first_B, out=z)
        z += torch.index_select(second.own_EH, 0, second_B, out=other)
        mix = self._mix[placement]
        if mix is not None and first.product_ER is not None and second.product_ER is not None:
            z.addmm_(first.product_ER[first_B] * second.product_ER[second_B], mix)
        h = self._hidden_layers(self._activation(z))
        final = h if h.dtype == self._last.dtype else self._final[:rows].copy_(h)
        answer_B = torch.addmm(self._last_bias, final, self._last).squeeze(1)
        if first.shortcut_ES is not None and second.shortcut_ES is not None:
            products = first.shortcut_ES[first_B] * second.shortcut_ES[second_B]
            answer_B += products.sum(dim=1)
        return answer_B

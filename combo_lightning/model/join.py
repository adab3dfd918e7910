"""Where the embeddings of a cell line and its drugs meet: the head's first layer, cut by input.

W [c; d_1; ..; d_K] = Wc c + W_1 d_1 + .. + W_K d_K, so each product runs once an entity and a row
only adds. Product terms and doses act on the projected drugs, row by row.

Shapes: E entities, B rows, K slots, C and D widths of the embeddings, H width of the join,
J = H + the ranks: width of a projected drug.
"""

from functools import reduce
from itertools import combinations

import torch
from torch import Tensor, nn

from combo_lightning.errors import InputError
from combo_lightning.model.config import NetworkConfig
from combo_lightning.model.products import Linear


class HillGate(nn.Module):
    """How much of a drug acts at its dose, channel by channel: a Hill curve in log dose.

    g = sigmoid(s * x + drug shift + line shift), with x the standardised log10 molar dose and
    s > 0 the Hill slope. It goes to 0 with the dose, where the drug acts as an empty slot does.
    The shifts run once an entity: doses act at the join and never undo encode-once.

    Args:
        cell_width: C.
        drug_width: D.
        width: J, channels to gate.

    Source:
        Hill 1910 in its logistic form; own choice of one curve a channel.
    """

    def __init__(self, cell_width: int, drug_width: int, width: int) -> None:
        super().__init__()
        self.cell_shift = Linear(cell_width, width, bias=False)
        self.drug_shift = Linear(drug_width, width)
        # softplus(0.54) = 1: a slope of one over a standard deviation of the doses.
        self.raw_slope = nn.Parameter(torch.full((width,), 0.54))

    def forward(self, dose_B: Tensor, cell_BJ: Tensor, drug_BJ: Tensor) -> Tensor:
        """Give the gate in (0, 1), ``[B, J]``, from the standardised dose and both shifts."""
        slope_J = nn.functional.softplus(self.raw_slope)
        return torch.sigmoid(dose_B.unsqueeze(1) * slope_J + cell_BJ + drug_BJ)


class DrugLineTable(nn.Module):
    """Free vectors U[drug, line], one table a slot (one for all slots where they are symmetric).

    Args:
        num_tables: Tables: K, or 1 where the slots are symmetric.
        num_drugs: Drugs known to training.
        num_cells: Cell lines known to training.
        rank: Width of a vector.

    Source:
        ``docs/model.md``; the strength of its weight decay decides its use.
    """

    def __init__(self, num_tables: int, num_drugs: int, num_cells: int, rank: int) -> None:
        super().__init__()
        self.num_cells = num_cells
        self.weight = nn.Parameter(torch.empty(num_tables, num_drugs * num_cells, rank))
        nn.init.normal_(self.weight, std=0.1)

    def forward(self, slot: int, drug_id_B: Tensor, cell_id_B: Tensor) -> Tensor:
        """Look vectors up, ``[B, rank]``; zero where the drug or the line is unknown (-1)."""
        known_B = (drug_id_B >= 0) & (cell_id_B >= 0)
        row_B = torch.where(known_B, drug_id_B * self.num_cells + cell_id_B, 0)
        table = self.weight[min(slot, len(self.weight) - 1)]
        return table.index_select(0, row_B) * known_B.unsqueeze(1)

    def forget(self, seen_KDC: Tensor) -> None:
        """Zero the vectors that training never sees; see `Encoder.forget`.

        Args:
            seen_KDC: Whether training sees a drug in a slot in a line, bool ``[K, drugs, lines]``.
        """
        tables = len(self.weight)
        seen = seen_KDC if tables > 1 else seen_KDC.any(dim=0, keepdim=True)
        with torch.no_grad():
            self.weight[~seen.reshape(tables, -1)] = 0


class Join(nn.Module):
    """The head's first layer before its activation, and a shortcut to the output.

    z = b + Wc c + sum_k W_k d_k
        + Wp sum_(k<l) (P d_k * P d_l)                 drug x drug, rank ``drug_drug_rank``
        + Wm (M c * sum_k M_k d_k)                     cell x drug, rank ``cell_drug_rank``
        + sum_k Wx_k (U_k[d_k, c] * sum_(l!=k) V_l d_l)    table, rank ``table_rank``
    y0 = sum_k U_k[d_k, c] . sum_(l!=k) V'_l d_l           straight into the output

    With join "symmetric" W, M, U, V, Wx are the same for all slots. Where the response is per
    dose, each projected drug is multiplied by its `HillGate`. An empty slot adds nothing.

    Args:
        config: The network's configuration.
        num_slots: K.
        num_cells: Cell lines known to training.
        num_drugs: Drugs known to training.
        has_dose: Whether rows carry doses.
    """

    def __init__(
        self,
        config: NetworkConfig,
        num_slots: int,
        num_cells: int,
        num_drugs: int,
        *,
        has_dose: bool,
    ) -> None:
        super().__init__()
        cell_width, drug_width = config.cell_encoder.widths[-1], config.drug_encoder.widths[-1]
        width = config.head.widths[0]
        tables = 1 if config.join == "symmetric" else num_slots
        rank = config.table_rank
        self.num_slots = num_slots
        self.cell_parts = [width, config.cell_drug_rank]
        self.drug_parts = [width, config.drug_drug_rank, config.cell_drug_rank, rank, rank]
        joined = sum(self.drug_parts)
        self.bias = nn.Parameter(torch.empty(width))
        self.cell = Linear(cell_width, sum(self.cell_parts), bias=False)
        self.drug = nn.ModuleList(Linear(drug_width, joined, bias=False) for _ in range(tables))
        self.gate = HillGate(cell_width, drug_width, joined) if has_dose else None
        self.drug_drug = _product(config.drug_drug_rank, width)
        self.cell_drug = _product(config.cell_drug_rank, width)
        self.table: DrugLineTable | None = None
        self.table_product = nn.ModuleList()
        if rank:
            self.table = DrugLineTable(tables, num_drugs, num_cells, rank)
            self.table_product = nn.ModuleList(
                Linear(rank, width, bias=False) for _ in range(tables)
            )
        if num_slots == 1 and (rank or config.drug_drug_rank):
            raise InputError(
                "drug_drug_rank and table_rank need a partner drug, and the data set has one drug "
                "slot; set both to 0"
            )
        # The plain layer's initial spread: its inputs are all embeddings side by side.
        bound = (cell_width + num_slots * drug_width) ** -0.5
        with torch.no_grad():
            self.bias.uniform_(-bound, bound)
            for linear in (self.cell, *self.drug):
                linear.weight[:width].uniform_(-bound, bound)

    def project_cells(self, embedding_EC: Tensor) -> Tensor:
        """Project cell lines for the join: ``[E, parts]``, gate shifts (if any) at the end.

        The join's bias is added here, once an entity instead of once a row.
        """
        cell: Tensor = self.cell(
            embedding_EC, nn.functional.pad(self.bias, (0, self.cell_parts[1]))
        )
        if self.gate is None:
            return cell
        return torch.cat([cell, self.gate.cell_shift(embedding_EC)], dim=1)

    def project_drugs(self, embedding_KED: list[Tensor]) -> list[Tensor]:
        """Project drugs for each slot: K times ``[E, J]``, gate shifts (if any) at the end.

        Args:
            embedding_KED: Embeddings of the drugs in each slot. Where all slots get the same ones
                and have the same weights, they are projected once.
        """
        projected: list[Tensor] = []
        for k, embedding_ED in enumerate(embedding_KED):
            if k and len(self.drug) == 1 and embedding_ED is embedding_KED[0]:
                projected.append(projected[0])
                continue
            parts = [self.drug[min(k, len(self.drug) - 1)](embedding_ED)]
            if self.gate is not None:
                parts.append(self.gate.drug_shift(embedding_ED))
            projected.append(torch.cat(parts, dim=1) if len(parts) > 1 else parts[0])
        return projected

    def forward(
        self,
        cell_BX: Tensor,
        drug_KBX: list[Tensor],
        present_BK: Tensor | None,
        dose_BK: Tensor | None,
        cell_id_B: Tensor,
        drug_id_BK: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """Join projected rows.

        Args:
            cell_BX: Rows of `project_cells`.
            drug_KBX: For each slot, rows of `project_drugs`; anything in an empty slot, or zeros
                where `present_BK` is None.
            present_BK: Whether a slot holds a drug, bool; None: empty slots are zero already.
            dose_BK: Standardised log10 molar doses; None where rows carry none.
            cell_id_B: Row of the cell line in the learned tables; -1: unknown.
            drug_id_BK: Rows of the drugs in the learned tables; -1: unknown or empty slot.

        Returns:
            z ``[B, H]`` before the activation, and y0 ``[B]`` (None without a table).
        """
        num_cell = sum(self.cell_parts)
        cell, cell_rank = torch.split(cell_BX[:, :num_cell], self.cell_parts, dim=1)
        shift_BJ = cell_BX[:, num_cell:]
        slots = [
            self.act(drug_KBX[k], shift_BJ, None if dose_BK is None else dose_BK[:, k])
            for k in range(self.num_slots)
        ]
        if present_BK is not None:
            slots = [x * present_BK[:, k : k + 1].to(x.dtype) for k, x in enumerate(slots)]
        split = [torch.split(slot, self.drug_parts, dim=1) for slot in slots]
        own, pair, mixed, partner, shortcut = (list(part) for part in zip(*split, strict=True))
        # Slots are added among themselves first: a sum of two is the same in either order, so
        # that the symmetric network is symmetric to the last bit.
        z = cell + _sum(own)
        if self.drug_drug is not None:
            z = z + self.drug_drug(_sum([a * b for a, b in combinations(pair, 2)]))
        if self.cell_drug is not None:
            z = z + self.cell_drug(cell_rank * _sum(mixed))
        if self.table is None:
            return z, None
        u = [self.table(k, drug_id_BK[:, k], cell_id_B) for k in range(self.num_slots)]
        products = [u_k * _sum(partner[:k] + partner[k + 1 :]) for k, u_k in enumerate(u)]
        if len(self.table_product) == 1:
            products = [_sum(products)]
        z = z + _sum([m(p) for m, p in zip(self.table_product, products, strict=True)])
        straight = [u_k * _sum(shortcut[:k] + shortcut[k + 1 :]) for k, u_k in enumerate(u)]
        return z, _sum(straight).sum(dim=1)

    def act(self, drug_BX: Tensor, cell_shift_BJ: Tensor, dose_B: Tensor | None) -> Tensor:
        """Let projected drugs act at their doses: through the gate, where there is one, [B, J]."""
        if self.gate is None or dose_B is None:
            return drug_BX
        drug_BJ, drug_shift_BJ = drug_BX.chunk(2, dim=1)
        gate_BJ: Tensor = self.gate(dose_B, cell_shift_BJ, drug_shift_BJ)
        return drug_BJ * gate_BJ


def _product(rank: int, width: int) -> nn.Linear | None:
    return Linear(rank, width, bias=False) if rank else None


def _sum(terms: list[Tensor]) -> Tensor:
    """Add tensors from the left; unlike `sum`, without a leading 0."""
    return reduce(torch.add, terms)

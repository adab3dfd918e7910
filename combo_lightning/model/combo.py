"""The Combo network: two encoders, a join and a growth prediction head.

Shapes: B rows of a batch, K drug slots, E entities of a table, C and D widths of the embeddings,
P order of the slots.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from combo_lightning.model.config import NetworkConfig
from combo_lightning.model.encoder import Encoder, EntityTable
from combo_lightning.model.join import Join
from combo_lightning.model.layers import ActivationDropout, Rows, build_activation
from combo_lightning.model.part import BatchPart, UsedEntities, select_used
from combo_lightning.model.products import Linear
from combo_lightning.model.study import StudyTerm

# Entities encoded at once where no gradient is needed: 33 MB of activations at width 1000.
ENTITIES_AT_ONCE = 8192


@dataclass(frozen=True)
class InputSizes:
    """What the data decide about the network's shape.

    Args:
        cell_features: Width of a cell line's features.
        drug_features: Width of a drug's features.
        num_cells: Cell lines known to training: rows of the learned tables.
        num_drugs: Drugs known to training.
        num_slots: K, the most drugs that a row combines.
        has_dose: Whether each row carries a dose for each drug.
        num_studies: Studies known to training.
    """

    cell_features: int
    drug_features: int
    num_cells: int
    num_drugs: int
    num_slots: int
    has_dose: bool = False
    num_studies: int = 0


class Encoded(NamedTuple):
    """All entities of two tables, encoded and projected for the join; made once, used by any row.

    Args:
        cell_EX: Cell lines.
        drug_KEX: Drugs, for each slot they may stand in; the last row, all zeros, is the empty
            slot. Slots with the same weights share one tensor.
        cell_id_E: Row of each cell line in the learned tables; -1: unknown.
        drug_id_E: Row of each drug in the learned tables; -1: unknown, and the empty slot.
    """

    cell_EX: Tensor
    drug_KEX: list[Tensor]
    cell_id_E: Tensor
    drug_id_E: Tensor


class ComboModel(nn.Module):
    """Response of cell line c to drugs d_1..d_K: head(join(cell_encoder(c), drug_encoder(d_k))).

    The published network (NCI/DOE Pilot 1 "Combo", also in LBANN) has encoders of 3 x 1000, joins
    by concatenation and has a head of 3 x 1000. Cell lines and drugs are encoded once a batch,
    not once a row; the head's first layer is cut by its inputs and runs once an entity too.

    Args:
        config: Widths, dropout, join, product terms.
        sizes: Widths of the inputs, entities, slots.

    Source:
        Xia et al. 2018, doi:10.1186/s12859-018-2509-3; CANDLE ``Pilot1/Combo``.
    """

    def __init__(self, config: NetworkConfig, sizes: InputSizes) -> None:
        super().__init__()
        self.config = config
        self.sizes = sizes
        self.cell_encoder = Encoder(config.cell_encoder, sizes.cell_features, sizes.num_cells)
        self.drug_encoder = Encoder(config.drug_encoder, sizes.drug_features, sizes.num_drugs)
        self.join = Join(
            config, sizes.num_slots, sizes.num_cells, sizes.num_drugs, has_dose=sizes.has_dose
        )
        head = config.head
        # One after the join and one after each layer but the last.
        self.activate = nn.ModuleList(
            ActivationDropout(build_activation(head.activation), head.dropout) for _ in head.widths
        )
        self.head = nn.ModuleList(Linear(a, b) for a, b in pairwise([*head.widths, 1]))
        # Last: the other weights begin as without it.
        self.study: StudyTerm | None = None
        if config.study_embedding:
            rank, width = config.study_embedding, head.widths[0]
            self.study = StudyTerm(sizes.num_studies, rank, width, config.study_dropout)

    def forward(
        self,
        cells: EntityTable,
        drugs: EntityTable,
        cell_B: Tensor,
        drug_BK: Tensor,
        dose_BK: Tensor | None = None,
        part: BatchPart | None = None,
        study_B: Tensor | None = None,
    ) -> Tensor:
        """Predict the standardised response of each row, each entity encoded once.

        Args:
            cells: The cell lines that `cell_B` points to.
            drugs: The drugs that `drug_BK` points to.
            cell_B: Cell line of each row, int64.
            drug_BK: Drugs of each row, int64; -1: empty slot.
            dose_BK: Standardised log10 molar doses; any finite number in an empty slot.
                None: no doses.
            part: Where these rows stand in a batch that several processes share, each of which
                encodes some of its entities; None: they are the batch.
            study_B: Study of each row, int64; -1: unknown. None: so for all.

        Returns:
            Standardised response, ``[B]``.
        """
        used_cells = select_used(cells, cell_B, part)
        used_drugs = select_used(drugs, drug_BK, part)
        if self.training and self._masks_by_row:
            return self._forward_per_sample(used_cells, used_drugs, dose_BK, part, study_B)
        (cell_EX,) = _gathered(
            self.encode_cells(used_cells.table, used_cells.rows), used_cells, part
        )
        drug_KEX = _gathered(
            self.encode_drugs(used_drugs.table, used_drugs.rows), used_drugs, part
        )
        drug_KEX = [nn.functional.pad(x, (0, 0, 0, 1)) for x in drug_KEX]
        encoded = self.gather_encoded(used_cells.id_E, used_drugs.id_E, cell_EX, drug_KEX)
        rows = None if part is None else part.rows
        return self.respond(encoded, used_cells.points, used_drugs.points, dose_BK, rows, study_B)

    @property
    def _masks_by_row(self) -> bool:
        config = self.config
        dropped = max(config.cell_encoder.dropout, config.drug_encoder.dropout) > 0
        return config.dropout_mode == "per_sample" and dropped

    def encode(self, cells: EntityTable, drugs: EntityTable) -> Encoded:
        """Encode every entity of both tables, once, for use by `respond`; inference only.

        Args:
            cells: Cell lines.
            drugs: Drugs.

        Returns:
            The encoded tables.
        """
        return self.gather_encoded(
            cells.id_E,
            drugs.id_E,
            _by_chunk(cells, self.encode_cells)[0],
            _by_chunk(drugs, self.encode_drugs, empty_rows=1),
        )

    def gather_encoded(
        self, cell_id_E: Tensor, drug_id_E: Tensor, cell_EX: Tensor, drug_KEX: list[Tensor]
    ) -> Encoded:
        """Put encoded tables together.

        Args:
            cell_id_E: Row of each cell line in the learned tables.
            drug_id_E: Row of each drug in the learned tables.
            cell_EX: What `encode_cells` gave.
            drug_KEX: What `encode_drugs` gave, with a row of zeros at the end.
        """
        return Encoded(
            cell_EX=cell_EX,
            drug_KEX=drug_KEX * (self.sizes.num_slots // len(drug_KEX)),
            cell_id_E=cell_id_E,
            drug_id_E=nn.functional.pad(drug_id_E, (0, 1), value=-1),
        )

    def encode_cells(self, cells: EntityTable, rows: Rows | None = None) -> list[Tensor]:
        """Encode and project cell lines: one tensor ``[E, X]``; `rows` as in `Encoder`."""
        return [self.join.project_cells(self.cell_encoder.encode_entities(cells, rows))]

    def encode_drugs(self, drugs: EntityTable, rows: Rows | None = None) -> list[Tensor]:
        """Encode and project drugs: ``[E, X]`` for each distinct set of slot weights."""
        drug_ED = self.drug_encoder.encode_entities(drugs, rows)
        return self.join.project_drugs([drug_ED] * len(self.join.drug))

    def respond(
        self,
        encoded: Encoded,
        cell_B: Tensor,
        drug_BK: Tensor,
        dose_BK: Tensor | None = None,
        rows: Rows | None = None,
        study_B: Tensor | None = None,
    ) -> Tensor:
        """Predict rows from entities that are encoded already.

        Args:
            encoded: The encoded tables.
            cell_B: Cell line of each row, int64.
            drug_BK: Drugs of each row, int64; -1: empty slot.
            dose_BK: Their doses, or None.
            rows: Where the rows stand among those that masks are drawn for; None: they are all.
            study_B: Study of each row, as in `forward`.

        Returns:
            Standardised responses, ``[B]``.
        """
        # The empty slot is the last row.
        slot_BK = drug_BK.where(drug_BK >= 0, len(encoded.drug_id_E) - 1)
        z, straight = self.join(
            encoded.cell_EX.index_select(0, cell_B),
            [x.index_select(0, slot_BK[:, k]) for k, x in enumerate(encoded.drug_KEX)],
            None,
            dose_BK,
            encoded.cell_id_E[cell_B],
            encoded.drug_id_E[slot_BK],
        )
        return self._head(self._in_study(z, study_B, rows), straight, rows)

    def respond_in_orders(
        self,
        encoded: Encoded,
        cell_B: Tensor,
        drug_BK: Tensor,
        dose_BK: Tensor | None,
        orders: Sequence[Sequence[int]],
        study_B: Tensor | None = None,
    ) -> Tensor:
        """Predict rows with their drugs (and doses) in several orders.

        Args:
            encoded: The encoded tables.
            cell_B: Cell line of each row.
            drug_BK: Drugs of each row.
            dose_BK: Their doses, or None.
            orders: P permutations of the slots.
            study_B: Study of each row, as in `forward`.

        Returns:
            Standardised responses, ``[B, P]``.
        """
        columns = []
        for order in orders:
            dose = None if dose_BK is None else dose_BK[:, list(order)]
            drugs = drug_BK[:, list(order)]
            columns.append(self.respond(encoded, cell_B, drugs, dose, study_B=study_B))
        return torch.stack(columns, dim=1)

    def _forward_per_sample(
        self,
        cells: UsedEntities,
        drugs: UsedEntities,
        dose_BK: Tensor | None,
        part: BatchPart | None,
        study_B: Tensor | None,
    ) -> Tensor:
        """Predict with a dropout mask a row in the encoders, as the published network does.

        Masks are drawn in this order: the cell encoder's layers, ``[B, width]``; the drug
        encoder's, slot after slot, ``[K B, width]``; the studies', ``[B, 1]``, if they have
        vectors; the head's, ``[B, width]``.
        """
        cell_B, drug_BK = cells.points, drugs.points
        present_BK = drug_BK >= 0
        slot_KB = drug_BK.clamp(min=0).T.reshape(-1)
        rows = rows_KB = None
        if part is not None:
            rows, total = part.rows, part.rows.total
            shifted = [
                (k * total + start, k * total + stop)
                for k in range(self.sizes.num_slots)
                for start, stop in rows.ranges
            ]
            rows_KB = Rows(self.sizes.num_slots * total, tuple(shifted))
        (z_EC,) = _gathered([self.cell_encoder.begin(cells.table)], cells, part)
        (z_ED,) = _gathered([self.drug_encoder.begin(drugs.table)], drugs, part)
        cell_id_B = cells.id_E[cell_B]
        drug_id_KB = drugs.id_E[slot_KB]
        cell_BC = self.cell_encoder.finish(z_EC.index_select(0, cell_B), cell_id_B, rows)
        drug_KBD = self.drug_encoder.finish(z_ED.index_select(0, slot_KB), drug_id_KB, rows_KB)
        z, straight = self.join(
            self.join.project_cells(cell_BC),
            self.join.project_drugs(list(drug_KBD.chunk(self.sizes.num_slots))),
            present_BK,
            dose_BK,
            cell_id_B,
            torch.where(present_BK, drug_id_KB.view(drug_BK.T.shape).T, -1),
        )
        return self._head(self._in_study(z, study_B, rows), straight, rows)

    def _in_study(self, z_BH: Tensor, study_B: Tensor | None, rows: Rows | None) -> Tensor:
        if self.study is None or study_B is None:
            return z_BH
        added_BH: Tensor = self.study(study_B, rows)
        return z_BH + added_BH

    def _head(self, z_BH: Tensor, straight_B: Tensor | None, rows: Rows | None) -> Tensor:
        h = self.activate[0](z_BH, rows)
        for layer, activate in zip(self.head[:-1], self.activate[1:], strict=True):
            h = activate(layer(h), rows)
        # The response itself is never rounded to bf16: its 8 bits would tie a ranking's rows.
        with torch.autocast(h.device.type, enabled=False):
            response_B: Tensor = self.head[-1](h.to(self.head[-1].weight.dtype)).squeeze(1)
        return response_B if straight_B is None else response_B + straight_B

    def forget(self, cell_seen: Tensor, drug_seen: Tensor, table_seen_KDC: Tensor | None) -> None:
        """Zero what is learned by identity for entities that training never sees.

        An entity, or a cell of the drug x line table, that no training row points to gets no
        gradient; from zero it stays zero, and adds exactly nothing to a prediction.

        Args:
            cell_seen: Whether training rows hold each known cell line, bool.
            drug_seen: Whether training rows hold each known drug, bool.
            table_seen_KDC: Whether training rows hold a drug in a slot in a line, bool; None:
                the network has no drug x line table.
        """
        self.cell_encoder.forget(cell_seen)
        self.drug_encoder.forget(drug_seen)
        if self.join.table is not None and table_seen_KDC is not None:
            self.join.table.forget(table_seen_KDC)


def _gathered(parts: list[Tensor], used: UsedEntities, part: BatchPart | None) -> list[Tensor]:
    """Give the rows of all used entities, from those that this process made."""
    return parts if part is None else [part.gather(x, used.counts) for x in parts]


def _by_chunk(
    table: EntityTable, encode: Callable[[EntityTable], list[Tensor]], empty_rows: int = 0
) -> list[Tensor]:
    """Encode a table, a large one piece by piece.

    Args:
        table: E entities.
        encode: Gives one tensor ``[E, X]`` or more.
        empty_rows: Rows of zeros to add at the end.
    """
    count = len(table.id_E)
    if count <= ENTITIES_AT_ONCE:
        return [nn.functional.pad(x, (0, 0, 0, empty_rows)) for x in encode(table)]
    whole: list[Tensor] = []
    for start in range(0, count, ENTITIES_AT_ONCE):
        rows = slice(start, start + ENTITIES_AT_ONCE)
        parts = encode(EntityTable(table.features_EF[rows], table.id_E[rows]))
        if not whole:
            whole = [x.new_zeros(count + empty_rows, x.shape[1]) for x in parts]
        for out, part in zip(whole, parts, strict=True):
            out[start : start + len(part)] = part
    return whole

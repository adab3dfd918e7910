"""From an entity's features to its embedding.

Shapes: E entities, F features, W width of the embedding, R rows of a batch.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from combo_lightning.model.config import EncoderConfig
from combo_lightning.model.layers import ActivationDropout, Rows, build_activation
from combo_lightning.model.products import Linear


class EntityTable(NamedTuple):
    """All cell lines, or all drugs, that a batch may point to.

    Args:
        features_EF: Transformed features, float, finite; where a large table is spread over
            processes, those of the entities from `start` on that are here.
        id_E: Row of each entity in the learned tables (id embedding, U), int64; -1: unknown to
            training.
        start: The first entity whose features are here.
    """

    features_EF: Tensor
    id_E: Tensor
    start: int = 0

    def select(self, index_E: Tensor) -> "EntityTable":
        """Give the table of some of the entities, whose features are here."""
        return EntityTable(self.features_EF[index_E - self.start], self.id_E[index_E])


class Encoder(nn.Module):
    """Fully connected layers; LBANN calls it a track, CANDLE a feature model.

    h_0 = x;  h_i = dropout(act(norm(W_i h_(i-1) + b_i)));  the identity embedding e, where there
    is one, enters the last layer as W_n h_(n-1) + b_n + A e.

    Args:
        config: Widths, dropout, activation, normalisation, identity embedding.
        num_features: F, the width of the input.
        num_known: Entities with an identity embedding.
    """

    def __init__(self, config: EncoderConfig, num_features: int, num_known: int) -> None:
        super().__init__()
        sizes = [num_features, *config.widths]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairwise(sizes))
        last = len(config.widths) - 1
        normed = {"none": (), "output": (last,), "every": range(last + 1)}[config.normalization]
        self.norms = nn.ModuleList(
            nn.LayerNorm(width) if i in normed else nn.Identity()
            for i, width in enumerate(config.widths)
        )
        self.activate = nn.ModuleList(
            ActivationDropout(build_activation(config.activation), config.dropout)
            for _ in config.widths
        )
        self.id_embedding: nn.Embedding | None = None
        self.id_projection: nn.Linear | None = None
        if config.id_embedding:
            self.id_embedding = nn.Embedding(num_known, config.id_embedding)
            self.id_projection = Linear(config.id_embedding, sizes[-1], bias=False)

    def encode_entities(self, table: EntityTable, rows: Rows | None = None) -> Tensor:
        """Encode each entity once.

        Args:
            table: The entities.
            rows: Where they stand among those that masks are drawn for; None: they are all.

        Returns:
            Embeddings, ``[E, W]``. While training, one dropout mask an entity.
        """
        return self.finish(self.begin(table), table.id_E, rows)

    def begin(self, table: EntityTable) -> Tensor:
        """Run the first layer up to its activation: what depends on the entity alone, ``[E, W]``.

        A batch with one mask a row runs this once an entity, takes its rows and goes on with
        `finish`.
        """
        z = self.layers[0](table.features_EF)
        if len(self.layers) == 1:
            z = self._add_identity(z, table.id_E)
        normed: Tensor = self.norms[0](z)
        return normed

    def finish(self, z_RW: Tensor, id_R: Tensor, rows: Rows | None = None) -> Tensor:
        """Run everything after `begin`.

        Args:
            z_RW: Rows of what `begin` gave.
            id_R: Row of each one's entity in the learned tables; -1: unknown.
            rows: Where they stand among those that masks are drawn for; None: they are all.

        Returns:
            Embeddings, ``[R, W]``.
        """
        h: Tensor = self.activate[0](z_RW, rows)
        for i in range(1, len(self.layers)):
            z = self.layers[i](h)
            if i == len(self.layers) - 1:
                z = self._add_identity(z, id_R)
            h = self.activate[i](self.norms[i](z), rows)
        return h

    def forget(self, seen: Tensor) -> None:
        """Zero the identity embeddings of entities that training never sees.

        Their gradients and so their updates are zero: they stay exactly zero.

        Args:
            seen: Whether training sees each known entity, bool.
        """
        if self.id_embedding is not None:
            with torch.no_grad():
                self.id_embedding.weight[~seen] = 0

    def _add_identity(self, z: Tensor, id_R: Tensor) -> Tensor:
        if self.id_embedding is None or self.id_projection is None:
            return z
        known_R1 = (id_R >= 0).unsqueeze(1)
        identity = self.id_embedding(id_R.clamp(min=0)) * known_R1
        projected: Tensor = self.id_projection(identity)
        return z + projected

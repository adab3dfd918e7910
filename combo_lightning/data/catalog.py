"""What a checkpoint knows of the data: enough to predict without the data set.

Shapes: E entities, G features that the network reads, B rows, K drug slots.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.entities import Entities
from combo_lightning.data.orders import RecordedOrders
from combo_lightning.data.schema import ResponseKind
from combo_lightning.data.splits import Split
from combo_lightning.data.transforms import (
    FittedBlock,
    FloatArray,
    Standardizer,
    TransformConfig,
    apply_blocks,
    fit_blocks,
)
from combo_lightning.errors import InputError


@dataclass(frozen=True)
class KnownEntities:
    """The cell lines, or the drugs, of the data set that a model was trained on.

    Args:
        kind: ``"cell"`` or ``"drug"``.
        ids: E identifiers.
        names: Their names; the id where there is none.
        synonyms: Further names of each.
        group: What each belongs to: a cell line's tissue, a drug's InChIKey; empty if unknown.
        seen: Whether a training row names it, bool ``[E]``.
        features_EG: Transformed features, float32, finite.
        blocks: The fitted transforms that made them, in order.
    """

    kind: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...]
    group: tuple[str, ...]
    seen: npt.NDArray[np.bool_]
    features_EG: FloatArray
    blocks: tuple[FittedBlock, ...]

    @classmethod
    def fit(
        cls, entities: Entities, seen: npt.NDArray[np.bool_], config: TransformConfig
    ) -> "KnownEntities":
        """Fit transforms on the entities that training rows name, and apply them to all."""
        blocks = fit_blocks(entities, np.flatnonzero(seen), config)
        group = entities.annotation("tissue" if entities.kind == "cell" else "inchikey")
        names = entities.annotation("name")
        return cls(
            kind=entities.kind,
            ids=entities.ids,
            names=tuple(name or i for name, i in zip(names, entities.ids, strict=True)),
            synonyms=tuple(tuple(words) for words in entities.synonyms()),
            group=tuple(value or "" for value in group),
            seen=seen,
            features_EG=apply_blocks(blocks, entities.blocks, len(entities)),
            blocks=tuple(blocks),
        )

    def to_plain(self) -> dict[str, Any]:
        """Give plain values and arrays, for a checkpoint."""
        return {
            "kind": self.kind,
            "ids": list(self.ids),
            "names": list(self.names),
            "synonyms": [list(words) for words in self.synonyms],
            "group": list(self.group),
            "seen": self.seen,
            "features": self.features_EG,
            "blocks": [block.to_plain() for block in self.blocks],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "KnownEntities":
        """Build from what `to_plain` gave."""
        return cls(
            kind=plain["kind"],
            ids=tuple(plain["ids"]),
            names=tuple(plain["names"]),
            synonyms=tuple(tuple(words) for words in plain["synonyms"]),
            group=tuple(plain["group"]),
            seen=plain["seen"],
            features_EG=plain["features"],
            blocks=tuple(FittedBlock.from_plain(block) for block in plain["blocks"]),
        )


@dataclass(frozen=True)
class Catalog:
    """All that training learned from the data set beside the weights.

    Args:
        response: What was measured, and its unit.
        num_slots: K.
        cells: The known cell lines.
        drugs: The known drugs.
        response_scale: Fitted standardisation of the response.
        dose_scale: Fitted standardisation of log10 molar doses.
        orders: The orders in which training rows hold their drugs.
        data_fingerprint: SHA-256 of the data set.
        train_fingerprint: SHA-256 of the training rows' numbers.
    """

    response: ResponseKind
    num_slots: int
    cells: KnownEntities
    drugs: KnownEntities
    response_scale: Standardizer
    dose_scale: Standardizer
    orders: RecordedOrders
    data_fingerprint: str
    train_fingerprint: str

    @classmethod
    def fit(cls, dataset: ScreenDataset, split: Split, config: TransformConfig) -> "Catalog":
        """Fit everything on the training rows, and on the entities that they name.

        Raises:
            InputError: If a block is unknown or no feature is left.
        """
        rows = split.train_rows
        responses = dataset.responses
        drug_NK = responses.drug_NK[rows]
        cell_seen = np.zeros(len(dataset.cells), dtype=bool)
        cell_seen[responses.cell_N[rows]] = True
        drug_seen = np.zeros(len(dataset.drugs), dtype=bool)
        drug_seen[drug_NK[drug_NK >= 0]] = True
        for name in config.pca:
            if name not in dataset.cells.blocks and name not in dataset.drugs.blocks:
                raise InputError(
                    f"data.transform.pca names '{name}', which is no feature block; there are "
                    f"{', '.join([*dataset.cells.blocks, *dataset.drugs.blocks])}"
                )
        weights = None if responses.weight_N is None else responses.weight_N[rows]
        response_scale = Standardizer()
        if config.response == "standardize":
            response_scale = Standardizer.fit(responses.response_N[rows], weights)
        dose_scale = Standardizer()
        if responses.log10_molar_NK is not None:
            doses = responses.log10_molar_NK[rows]
            dose_scale = Standardizer.fit(doses[drug_NK >= 0])
        return cls(
            response=dataset.kind,
            num_slots=responses.num_slots,
            cells=KnownEntities.fit(dataset.cells, cell_seen, config),
            drugs=KnownEntities.fit(dataset.drugs, drug_seen, config),
            response_scale=response_scale,
            dose_scale=dose_scale,
            orders=RecordedOrders.from_rows(drug_NK, len(dataset.drugs)),
            data_fingerprint=dataset.fingerprint,
            train_fingerprint=hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest(),
        )

    def to_plain(self) -> dict[str, Any]:
        """Give plain values and arrays, for a checkpoint."""
        return {
            "response": asdict(self.response),
            "num_slots": self.num_slots,
            "cells": self.cells.to_plain(),
            "drugs": self.drugs.to_plain(),
            "response_scale": asdict(self.response_scale),
            "dose_scale": asdict(self.dose_scale),
            "orders": self.orders.to_plain(),
            "data_fingerprint": self.data_fingerprint,
            "train_fingerprint": self.train_fingerprint,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Catalog":
        """Build from what `to_plain` gave."""
        return cls(
            response=ResponseKind(**plain["response"]),
            num_slots=plain["num_slots"],
            cells=KnownEntities.from_plain(plain["cells"]),
            drugs=KnownEntities.from_plain(plain["drugs"]),
            response_scale=Standardizer(**plain["response_scale"]),
            dose_scale=Standardizer(**plain["dose_scale"]),
            orders=RecordedOrders.from_plain(plain["orders"]),
            data_fingerprint=plain["data_fingerprint"],
            train_fingerprint=plain["train_fingerprint"],
        )

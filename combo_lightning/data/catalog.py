"""What a checkpoint knows of the data: enough to predict without the data set.

Shapes: E entities, G features that the network reads, B rows, K drug slots.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.blocks import FloatArray
from combo_lightning.data.dataset import Responses, ScreenDataset
from combo_lightning.data.entities import Entities
from combo_lightning.data.feature_file import (
    LARGE_BYTES,
    FeatureFile,
    map_features,
    write_features,
)
from combo_lightning.data.orders import RecordedOrders
from combo_lightning.data.platforms import align_entities
from combo_lightning.data.schema import ResponseKind
from combo_lightning.data.splits import Split
from combo_lightning.data.studies import KnownStudies, study_codes
from combo_lightning.data.transforms import (
    FittedBlock,
    Standardizer,
    TransformConfig,
    apply_blocks,
    fit_blocks,
    transformed_chunks,
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
        features_EG: Transformed features, float32, finite; mapped into memory where they have a
            file. No rows: they were not loaded.
        blocks: The fitted transforms that made them, in order.
        file: The file of large features; None: they stand in the checkpoint.
    """

    kind: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...]
    group: tuple[str, ...]
    seen: npt.NDArray[np.bool_]
    features_EG: FloatArray
    blocks: tuple[FittedBlock, ...]
    file: FeatureFile | None = None

    @classmethod
    def fit(
        cls,
        entities: Entities,
        seen: npt.NDArray[np.bool_],
        config: TransformConfig,
        folder: Path | None = None,
    ) -> "KnownEntities":
        """Fit transforms on the entities that training rows name, and apply them to all.

        Args:
            entities: Cell lines or drugs.
            seen: Whether a training row names each.
            config: What to do.
            folder: Where features above `LARGE_BYTES` are written; None: all stay in memory.
        """
        rows = np.flatnonzero(seen)
        if entities.kind == "cell":
            how = config.harmonize_cells
            entities = align_entities(entities, rows, how, config.cell_blocks)
        blocks = fit_blocks(entities, rows, config)
        shape = (len(entities), sum(block.width for block in blocks))
        file = None
        if folder is not None and 4 * shape[0] * shape[1] > LARGE_BYTES:
            chunks = transformed_chunks(blocks, entities.blocks, len(entities))
            file = write_features(folder, f"{entities.kind}_features", shape, chunks)
            features_EG = map_features(folder, file, check=False)
        else:
            features_EG = apply_blocks(blocks, entities.blocks, len(entities))
        group = entities.annotation("tissue" if entities.kind == "cell" else "inchikey")
        names = entities.annotation("name")
        return cls(
            kind=entities.kind,
            ids=entities.ids,
            names=tuple(name or i for name, i in zip(names, entities.ids, strict=True)),
            synonyms=tuple(tuple(words) for words in entities.synonyms()),
            group=tuple(value or "" for value in group),
            seen=seen,
            features_EG=features_EG,
            blocks=tuple(blocks),
            file=file,
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
            "features": self.features_EG if self.file is None else asdict(self.file),
            "blocks": [block.to_plain() for block in self.blocks],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], folder: Path | None) -> "KnownEntities":
        """Build from what `to_plain` gave.

        Args:
            plain: It.
            folder: Where large features stand; None: leave those out.

        Raises:
            InputError: If the file of large features is missing or damaged.
        """
        features, file = plain["features"], None
        blocks = tuple(FittedBlock.from_plain(block) for block in plain["blocks"])
        if isinstance(features, Mapping):
            file = FeatureFile(**features)
            nothing = np.empty((0, sum(block.width for block in blocks)), dtype=np.float32)
            features = nothing if folder is None else map_features(folder, file)
        return cls(
            kind=plain["kind"],
            ids=tuple(plain["ids"]),
            names=tuple(plain["names"]),
            synonyms=tuple(tuple(words) for words in plain["synonyms"]),
            group=tuple(plain["group"]),
            seen=plain["seen"],
            features_EG=features,
            blocks=blocks,
            file=file,
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
        studies: The studies, and their scales of the response.
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
    studies: KnownStudies
    data_fingerprint: str
    train_fingerprint: str

    @classmethod
    def fit(
        cls,
        dataset: ScreenDataset,
        split: Split,
        config: TransformConfig,
        folder: Path | None = None,
    ) -> "Catalog":
        """Fit everything on the training rows, and on the entities that they name.

        Args:
            dataset: The data set.
            split: Which rows are for training.
            config: What to do to features and responses.
            folder: Where large features are written; None: all stay in memory.

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
        studies = KnownStudies.fit(responses, rows, config.harmonize)
        response_scale = Standardizer()
        if config.response == "standardize":
            common = studies.to_common(responses.response_N[rows], study_codes(responses)[rows])
            response_scale = Standardizer.fit(common, weights)
        dose_scale = Standardizer()
        if responses.log10_molar_NK is not None:
            doses = responses.log10_molar_NK[rows]
            dose_scale = Standardizer.fit(doses[drug_NK >= 0])
        return cls(
            response=dataset.kind,
            num_slots=responses.num_slots,
            cells=KnownEntities.fit(dataset.cells, cell_seen, config, folder),
            drugs=KnownEntities.fit(dataset.drugs, drug_seen, config, folder),
            response_scale=response_scale,
            dose_scale=dose_scale,
            orders=RecordedOrders.from_rows(drug_NK, len(dataset.drugs)),
            studies=studies,
            data_fingerprint=dataset.fingerprint,
            train_fingerprint=hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest(),
        )

    def standardize(self, responses: Responses) -> FloatArray:
        """Give what the network learns of all measurements."""
        common = self.studies.to_common(responses.response_N, study_codes(responses))
        return self.response_scale.apply(common)

    def in_unit(
        self, standardized: npt.NDArray[Any], study: npt.NDArray[Any] | None
    ) -> npt.NDArray[np.float64]:
        """Bring what the network answers back to the response's unit, in the rows' studies.

        Args:
            standardized: Answers.
            study: Study of each; see `KnownStudies.to_common`.
        """
        return self.studies.from_common(self.response_scale.invert(standardized), study)

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
            "studies": self.studies.to_plain(),
            "data_fingerprint": self.data_fingerprint,
            "train_fingerprint": self.train_fingerprint,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], folder: Path | None = None) -> "Catalog":
        """Build from what `to_plain` gave; `folder` as in `KnownEntities.from_plain`."""
        return cls(
            response=ResponseKind(**plain["response"]),
            num_slots=plain["num_slots"],
            cells=KnownEntities.from_plain(plain["cells"], folder),
            drugs=KnownEntities.from_plain(plain["drugs"], folder),
            response_scale=Standardizer(**plain["response_scale"]),
            dose_scale=Standardizer(**plain["dose_scale"]),
            orders=RecordedOrders.from_plain(plain["orders"]),
            studies=KnownStudies.from_plain(plain.get("studies")),
            data_fingerprint=plain["data_fingerprint"],
            train_fingerprint=plain["train_fingerprint"],
        )

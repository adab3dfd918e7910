"""Prediction from a checkpoint alone: entities by name, new drugs by SMILES, new lines by table.

Shapes: B rows, K drug slots, E entities.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from combo_lightning.checkpoint import load_checkpoint, unpack_content
from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.catalog import Catalog, KnownEntities
from combo_lightning.data.chemistry import Recipe, check_recipes, featurise, inchikey
from combo_lightning.data.names import cell_key, drug_key
from combo_lightning.data.platforms import origin_column
from combo_lightning.data.transforms import FittedBlock, apply_blocks
from combo_lightning.errors import InputError, did_you_mean
from combo_lightning.inference.members import EncodedMembers, Members
from combo_lightning.inference.respond import respond_rows
from combo_lightning.model.combo import ComboModel
from combo_lightning.model.encoder import EntityTable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Roster:
    """Cell lines, or drugs, that can be predicted: the known ones, then new ones.

    Args:
        known: What the model was trained with.
        ids: Identifier of each; the first ones are the known.
        names: Every accepted spelling to its index.
        features_EG: Transformed features of all.
        seen: Whether a training row named it.
    """

    known: KnownEntities
    ids: tuple[str, ...]
    names: Mapping[str, int]
    features_EG: npt.NDArray[np.float32]
    seen: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, known: KnownEntities) -> "Roster":
        """Start with the known entities, by id, name, synonym, and by the key of each."""
        key = _key(known.kind)
        names: dict[str, int] = {}
        # A plain id wins over a name, a name over a synonym, any of them over a key.
        spellings = [*enumerate(known.ids), *enumerate(known.names)]
        spellings += [(i, word) for i, words in enumerate(known.synonyms) for word in words]
        for i, word in spellings:
            names.setdefault(word, i)
        for word, i in list(names.items()):
            names.setdefault(key(word), i)
        return cls(known, known.ids, names, known.features_EG, known.seen)

    def extend(self, new_ids: Sequence[str], features_EG: npt.NDArray[np.float32]) -> "Roster":
        """Add new entities.

        Raises:
            InputError: If a new name is taken.
        """
        key = _key(self.known.kind)
        names = dict(self.names)
        for i, name in enumerate(new_ids, start=len(self.ids)):
            if name in names or key(name) in names:
                raise InputError(
                    f"the new {self.known.kind} '{name}' has the name of a known one, "
                    f"'{self.ids[names.get(name, names.get(key(name), 0))]}'; rename it"
                )
            names[name] = i
        return Roster(
            self.known,
            (*self.ids, *new_ids),
            names,
            np.concatenate([self.features_EG, features_EG]),
            np.concatenate([self.seen, np.zeros(len(new_ids), dtype=bool)]),
        )

    def index(self, name: str, where: str) -> int:
        """Look a name up.

        Raises:
            InputError: If it is neither known nor new.
        """
        found = self.names.get(name)
        if found is None:
            found = self.names.get(_key(self.known.kind)(name))
        if found is None:
            what = "cell line" if self.known.kind == "cell" else "drug"
            more = (
                "give its features with --cells"
                if self.known.kind == "cell"
                else "give its SMILES with --drugs"
            )
            raise InputError(
                f"{where}: the {what} '{name}' is not known{did_you_mean(name, self.names)}; "
                f"correct it or {more}"
            )
        return found

    def table(self) -> EntityTable:
        """Give what the encoders read; new entities have no learned identity."""
        id_E = torch.arange(len(self.ids))
        id_E[len(self.known.ids) :] = -1
        return EntityTable(torch.from_numpy(self.features_EG), id_E)


def _on_scale(
    block: FittedBlock, values_EF: npt.NDArray[np.float32], origins: Sequence[str | None] | None
) -> npt.NDArray[np.float32]:
    """Bring raw values of stated origins onto the scale that the model reads."""
    if block.platforms is None or origins is None:
        return values_EF
    unknown = {origin for origin in origins if origin} - block.platforms.maps.keys()
    if unknown:
        logger.warning(
            "training knows no scale of '%s' from %s: it is taken as it is",
            block.name,
            ", ".join(sorted(unknown)),
        )
    return block.platforms.align(values_EF, origins)


def _key(kind: str) -> Any:
    return cell_key if kind == "cell" else drug_key


class Predictor:
    """A trained model, or an ensemble of several, ready to answer.

    Args:
        members: The networks with their weights.
        catalog: What they know of the data.
    """

    def __init__(self, members: Members, catalog: Catalog) -> None:
        self.members = members
        self.catalog = catalog
        self.cells = Roster.of(catalog.cells)
        self.drugs = Roster.of(catalog.drugs)
        self._encoded: EncodedMembers | None = None

    @classmethod
    def load(cls, ckpt_path: Path) -> "Predictor":
        """Load a checkpoint; nothing else is needed.

        Raises:
            InputError: If it is no whole checkpoint of this program.
        """
        checkpoint = load_checkpoint(Path(ckpt_path))
        config, catalog = unpack_content(checkpoint, str(ckpt_path), Path(ckpt_path).parent)
        members = Members.load(checkpoint, config, catalog, str(ckpt_path))
        if members.names:
            logger.info("%s is an ensemble of %d members", ckpt_path, len(members.names))
        return cls(members, catalog)

    @property
    def network(self) -> ComboModel:
        """The network; of an ensemble the first, which has the shape of all."""
        return self.members.networks[0]

    @property
    def unit(self) -> str:
        """Unit of the predictions."""
        return self.catalog.response.unit

    def drug_recipes(self) -> list[Recipe]:
        """Give what it takes to compute the drug features that the model reads."""
        return [Recipe(b.name, b.feature_names, b.recipe) for b in self.catalog.drugs.blocks]

    def add_drugs(self, names: Sequence[str], smiles: Sequence[str]) -> None:
        """Add drugs by structure.

        A structure that the model knows (same InChIKey) becomes another name of the known drug.

        Args:
            names: Their names.
            smiles: Their SMILES.

        Raises:
            InputError: If a SMILES cannot be read, a name is taken, or the model's drug features
                were not computed from structures.
        """
        known = {key: i for i, key in reversed(list(enumerate(self.catalog.drugs.group))) if key}
        synonyms: dict[str, int] = {}
        new: dict[str, str] = {}
        for name, text in zip(names, smiles, strict=True):
            place = known.get(inchikey(text, name))
            if place is None:
                new[name] = text
            else:
                synonyms[name] = place
                logger.info("%s is the known drug %s", name, self.catalog.drugs.names[place])
        if new:
            recipes = self.drug_recipes()
            check_recipes(recipes)
            blocks = featurise(recipes, list(new.values()), list(new)).blocks
            features = apply_blocks(self.catalog.drugs.blocks, blocks, len(new))
            self.drugs = self.drugs.extend(list(new), features)
        if synonyms:
            roster = self.drugs
            names_too = {**synonyms, **roster.names}
            self.drugs = Roster(
                roster.known, roster.ids, names_too, roster.features_EG, roster.seen
            )
        self._encoded = None

    @property
    def tells_studies_apart(self) -> bool:
        """Whether answers depend on the study."""
        return self.network.study is not None or bool(self.catalog.studies.maps)

    def study(self, name: str, where: str) -> int:
        """Look a study up; empty: unknown, -1.

        Args:
            name: Its name.
            where: The option, for messages.

        Raises:
            InputError: If the model knows none of that name, or tells no studies apart.
        """
        if name and not self.tells_studies_apart:
            raise InputError(f"{where}: the model does not tell studies apart; leave it out")
        study = self.catalog.studies.index(name, where)
        if study >= 0 and not self.catalog.studies.seen[study]:
            logger.warning(
                "training saw no row of the study %s: it counts as an unknown one", name
            )
        return study

    def add_cells(
        self,
        names: Sequence[str],
        features: Mapping[str, npt.NDArray[np.float32]],
        origins: Mapping[str, Sequence[str | None]] | None = None,
    ) -> None:
        """Add cell lines by their features.

        Args:
            names: E names.
            features: Values ``[E]`` by feature name (``GENE``, or ``block:GENE`` where two blocks
                share a name); NaN where missing. Features that the model does not use are ignored,
                those that it uses and are absent count as missing.
            origins: The data set that each line's block is from, by block, where the model brings
                those onto one scale; None, or another one: values are taken on that scale.

        Raises:
            InputError: If no feature is one that the model uses, or a name is taken.
        """
        blocks: dict[str, FeatureBlock] = {}
        used = total = 0
        told = dict(origins or {})
        for block in self.catalog.cells.blocks:
            values = np.full((len(names), len(block.feature_names)), np.nan, dtype=np.float32)
            for column, feature in enumerate(block.feature_names):
                found = features.get(f"{block.name}:{feature}", features.get(feature))
                if found is not None:
                    values[:, column] = found
                    used += 1
            total += len(block.feature_names)
            values = _on_scale(block, values, told.pop(block.name, None))
            blocks[block.name] = FeatureBlock(block.name, block.feature_names, block.unit, values)
        if told:
            raise InputError(
                f"the column '{origin_column(next(iter(told)))}' of new cell lines is of a block "
                f"that the model does not read; it reads {', '.join(blocks)}"
            )
        if not used:
            wanted = self.catalog.cells.blocks[0].feature_names[:3]
            raise InputError(
                "no column of the table of new cell lines is a feature that the model uses, such "
                f"as {', '.join(wanted)}"
            )
        if used < total:
            logger.warning("new cell lines: %d of %d features are missing", total - used, total)
        transformed = apply_blocks(self.catalog.cells.blocks, blocks, len(names))
        self.cells = self.cells.extend(list(names), transformed)
        self._encoded = None

    def predict(
        self,
        cell_B: npt.NDArray[Any],
        drug_BK: npt.NDArray[Any],
        log10_molar_BK: npt.NDArray[Any] | None = None,
        study_B: npt.NDArray[np.int64] | None = None,
    ) -> npt.NDArray[np.float64]:
        """Predict rows of indices into `cells` and `drugs`.

        Args:
            cell_B: Cell lines.
            drug_BK: Drugs, K columns; -1: empty slot.
            log10_molar_BK: Doses, where the model was trained on doses.
            study_B: Study in whose scale each row is predicted, as by `study`; None: unknown.

        Returns:
            Responses ``[B]``, in `unit`; of an ensemble its members' mean.

        Raises:
            InputError: If doses are given to a model without them, or lack in one with them.
            IndexError: If an index lies beyond `cells` or `drugs`.
        """
        return self.members.mean(self.predict_members(cell_B, drug_BK, log10_molar_BK, study_B))

    def predict_members(
        self,
        cell_B: npt.NDArray[Any],
        drug_BK: npt.NDArray[Any],
        log10_molar_BK: npt.NDArray[Any] | None = None,
        study_B: npt.NDArray[np.int64] | None = None,
    ) -> list[npt.NDArray[np.float64]]:
        """Predict rows by each network of `members`, for their mean and spread.

        Arguments and errors are those of `predict`.

        Returns:
            Responses ``[B]`` of each, in `unit`.

        Raises:
            InputError: If doses are given to a model without them, or lack in one with them.
        """
        dose_BK: npt.NDArray[np.float32] | None = None
        if self.catalog.response.per_dose != (log10_molar_BK is not None):
            need = "needs a dose for each drug" if log10_molar_BK is None else "knows no doses"
            raise InputError(f"the model predicts {self.catalog.response.name} and {need}")
        if log10_molar_BK is not None:
            if not np.isfinite(log10_molar_BK[drug_BK >= 0]).all():
                raise InputError("every drug needs a finite dose (log10 molar)")
            scaled = self.catalog.dose_scale.apply(np.where(drug_BK >= 0, log10_molar_BK, 0))
            dose_BK = np.where(drug_BK >= 0, scaled, 0).astype(np.float32)
        cell_B, drug_BK = cell_B.astype(np.int64), drug_BK.astype(np.int64)
        if self._encoded is None:
            self._encoded = EncodedMembers(self.members, self.cells.table(), self.drugs.table())
        rows = torch.from_numpy(cell_B), torch.from_numpy(drug_BK)
        with torch.inference_mode():
            pairs = self._encoded.covering(*rows)
        return [
            respond_rows(network, encoded, self.catalog, cell_B, drug_BK, dose_BK, study_B)
            for network, encoded in pairs
        ]

    def seen(
        self, cell_B: npt.NDArray[Any], drug_BK: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Tell how far rows are from the training data.

        Args:
            cell_B: Cell lines.
            drug_BK: Drugs.

        Returns:
            Whether training rows held the line and each of the drugs; whether they held the drugs
            together, in any order and any line. Both ``[B]``.
        """
        drugs = ((drug_BK < 0) | self.drugs.seen[drug_BK]).all(axis=1)
        entities = self.cells.seen[cell_B] & drugs
        return entities, self.catalog.orders.contains_any_order(drug_BK)

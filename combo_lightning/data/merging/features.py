"""The features and annotations of joined entities: aligned by name, one origin for each block.

An entity's block comes from the first data set that measured anything of it, as a whole: values of
two platforms never stand in one row. What is missing stays missing.

Shapes: E entities of one data set, M merged entities, F features of one block.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.blocks import Block, FeatureBlock
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.identity import Codes
from combo_lightning.data.merging.joining import Joined
from combo_lightning.data.platforms import origin_column
from combo_lightning.errors import InputError

# Values of one line in two data sets are equal up to float32's rounding.
_SAME = 1e-5
_SHOWN = 3


def merge_entities(
    sets: Sequence[Entities], titles: Sequence[str], joined: Joined, apart: Sequence[str]
) -> tuple[Entities, list[str]]:
    """Put the entities of several data sets together.

    Args:
        sets: Cell lines, or drugs, of each data set.
        titles: What the data sets are called.
        joined: Which of them are one.
        apart: Blocks to keep apart, each under the title of its data set.

    Returns:
        The entities, and what was decided where data sets differ, for people.

    Raises:
        InputError: If blocks of one name have two units or two recipes.
    """
    kind = sets[0].kind
    notes: list[str] = []
    annotations = _merge_annotations(sets, joined, notes)
    blocks = []
    for name, parts in _blocks_by_name(sets, titles, apart).items():
        merged = _MergedBlock.of(name, parts, titles, len(joined.ids))
        for number, block in parts.items():
            origins = sets[number].annotation(origin_column(block.name))
            merged.take(number, block, joined.places[number], origins)
        notes += merged.notes(kind)
        blocks.append(
            FeatureBlock(name, merged.features, merged.unit, merged.values, merged.recipe)
        )
        if kind == "cell":
            annotations[origin_column(name)] = merged.origins
    return build_entities(kind, joined.ids, annotations, blocks), notes


def _blocks_by_name(
    sets: Sequence[Entities], titles: Sequence[str], apart: Sequence[str]
) -> dict[str, dict[int, Block]]:
    """Give, for each merged block, the blocks of the data sets by their numbers."""
    found: dict[str, dict[int, Block]] = {}
    for number, (title, entities) in enumerate(zip(titles, sets, strict=True)):
        for name, block in entities.blocks.items():
            own = f"{name}_{title}" if name in apart else name
            found.setdefault(own, {})[number] = block
    return found


@dataclass
class _MergedBlock:
    """One block of the merged data set, and what data sets told differently.

    Args:
        name: Its name.
        features: Its features.
        unit: Their unit.
        recipe: How chemistry computes them.
        titles: What the data sets are called.
        values: float32 ``[M, F]``, NaN where missing.
        origins: The data set of each entity's values; None: none measured it.
    """

    name: str
    features: tuple[str, ...]
    unit: str
    recipe: Mapping[str, Any]
    titles: Sequence[str]
    values: npt.NDArray[np.float32]
    origins: list[str | None]
    _widths: dict[str, int] = field(default_factory=dict)
    _both: int = 0
    _differing: int = 0
    _largest: float = 0.0

    @classmethod
    def of(
        cls, name: str, parts: Mapping[int, Block], titles: Sequence[str], count: int
    ) -> "_MergedBlock":
        """Lay an empty block out over the features of all data sets.

        Raises:
            InputError: If units or recipes differ.
        """
        first = next(iter(parts))
        block = parts[first]
        for number, other in parts.items():
            where = f"the block '{name}' of {titles[first]} and of {titles[number]}"
            if dict(other.recipe) != dict(block.recipe):
                raise InputError(
                    f"{where} were computed in two ways ({_recipe(block)}; {_recipe(other)}); "
                    "prepare both data sets again with this program"
                )
            if other.unit != block.unit:
                raise InputError(
                    f"{where} are in two units, '{block.unit}' and '{other.unit}', which are "
                    f"never mixed; keep both blocks with --separate_blocks '[{name}]', or prepare "
                    "one of the data sets again"
                )
        features = tuple(dict.fromkeys(f for part in parts.values() for f in part.feature_names))
        values = np.full((count, len(features)), np.nan, dtype=np.float32)
        return cls(name, features, block.unit, block.recipe, titles, values, [None] * count)

    def take(
        self, number: int, block: Block, place_E: Codes, origins: Sequence[str | None]
    ) -> None:
        """Take the values of one data set, for the entities that none before it measured."""
        index = {feature: i for i, feature in enumerate(self.features)}
        columns = np.array([index[feature] for feature in block.feature_names], dtype=np.int64)
        title = self.titles[number]
        self._widths[title] = len(columns)
        start = 0
        for values_EF in block.chunks():
            measured = np.flatnonzero(~np.isnan(values_EF).all(axis=1))
            for row in measured.tolist():
                place = int(place_E[start + row])
                if self.origins[place] is None:
                    self.values[place, columns] = values_EF[row]
                    self.origins[place] = origins[start + row] or title
                else:
                    self._compare(self.values[place, columns], values_EF[row])
            start += len(values_EF)

    def _compare(self, mine: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> None:
        self._both += 1
        apart = np.abs(mine.astype(np.float64) - theirs)
        differ = apart > _SAME * np.maximum(np.abs(mine), np.abs(theirs))
        if differ.any():
            self._differing += 1
            self._largest = max(self._largest, float(apart[differ].max()))

    def notes(self, kind: str) -> Iterator[str]:
        """Say which features are in some data sets only, and whose values differ."""
        if len(set(self._widths.values())) > 1 or max(self._widths.values()) < len(self.features):
            widths = ", ".join(f"{width:,} in {title}" for title, width in self._widths.items())
            yield f"block '{self.name}' has {len(self.features):,} features: {widths}"
        if self._differing:
            yield (
                f"block '{self.name}' differs for {self._differing:,} of {self._both:,} {kind}s "
                f"that several data sets measured, by up to {self._largest:.4g}; the first one's "
                "values stand"
            )


def _recipe(block: Block) -> str:
    return ", ".join(f"{k} {v}" for k, v in block.recipe.items()) or "given"


def _merge_annotations(
    sets: Sequence[Entities], joined: Joined, notes: list[str]
) -> dict[str, list[Any]]:
    """Take each value from the first data set that has one; the names of all become synonyms."""
    origins = {origin_column(name) for entities in sets for name in entities.blocks}
    columns = dict.fromkeys(c for entities in sets for c in entities.annotations)
    merged: dict[str, list[Any]] = {}
    for column in columns:
        if column in origins or column == "synonyms":
            continue
        values: list[Any] = [None] * len(joined.ids)
        differ: dict[str, str] = {}
        for entities, place_E in zip(sets, joined.places, strict=True):
            for place, value in zip(place_E, entities.annotations.get(column, ()), strict=False):
                known = values[place]
                if value is None or value != value:
                    continue
                if known is None:
                    values[place] = value
                elif known != value and column != "name":
                    differ[joined.ids[place]] = f"{joined.ids[place]} ({known}, {value})"
        if differ:
            shown = ", ".join(list(differ.values())[:_SHOWN])
            more = " ..." if len(differ) > _SHOWN else ""
            notes.append(f"{column} differs for {len(differ):,}, the first stands: {shown}{more}")
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1:
            values = [None if value is None else str(value) for value in values]
        merged[column] = values
    merged["synonyms"] = _merge_synonyms(sets, joined, merged.get("name"))
    return merged


def _merge_synonyms(
    sets: Sequence[Entities], joined: Joined, names: list[Any] | None
) -> list[list[str]]:
    words: list[dict[str, None]] = [{} for _ in joined.ids]
    for entities, place_E in zip(sets, joined.places, strict=True):
        called = zip(entities.ids, entities.annotation("name"), entities.synonyms(), strict=True)
        for place, (own, name, others) in zip(place_E, called, strict=True):
            words[place] |= dict.fromkeys([own, name or own, *others])
    own_names = names or [None] * len(joined.ids)
    return [
        [word for word in found if word not in (own, name)]
        for found, own, name in zip(words, joined.ids, own_names, strict=True)
    ]

"""Features of cell lines that several platforms measured, brought onto one scale.

A merged data set says of each line's block which data set it is from: its origin.

Shapes: E entities, F features of a block, Q knots.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.blocks import Block, FloatArray
from combo_lightning.data.entities import Entities
from combo_lightning.data.monotone import Harmonize, MonotoneMap, fit_maps

logger = logging.getLogger(__name__)

# Training lines below which an origin has no scale that could be told from its lines.
LEAST_LINES = 5


def origin_column(block: str) -> str:
    """Name the annotation that holds which data set each line's block is from."""
    return f"{block}_origin"


@dataclass(frozen=True)
class Platforms:
    """The maps from each origin's features to their common scale.

    Args:
        maps: For each origin one map a feature; None: the feature stays as it is.
    """

    maps: Mapping[str, Sequence[MonotoneMap | None]]

    def align(self, values_EF: FloatArray, origins: Sequence[str | None]) -> FloatArray:
        """Bring lines onto the common scale; those of another origin, or of none, stay.

        Args:
            values_EF: Raw values.
            origins: The origin of each line.
        """
        aligned = values_EF.copy()
        for origin, maps in self.maps.items():
            rows = np.flatnonzero([own == origin for own in origins])
            if rows.size:
                for feature, known in enumerate(maps):
                    if known is not None:
                        aligned[rows, feature] = known.apply(values_EF[rows, feature])
        return aligned

    def to_plain(self) -> dict[str, Any]:
        """Give plain values and arrays, for a checkpoint."""
        return {
            origin: [None if known is None else known.to_plain() for known in maps]
            for origin, maps in self.maps.items()
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Platforms":
        """Build from what `to_plain` gave."""
        return cls(
            {
                origin: [
                    None if known is None else MonotoneMap.from_plain(known) for known in maps
                ]
                for origin, maps in plain.items()
            }
        )


@dataclass(frozen=True)
class AlignedBlock:
    """A block whose lines are brought onto one scale whenever they are read.

    Args:
        raw: The block as it is stored.
        platforms: The maps.
        origins: The origin of each line.
    """

    raw: Block
    platforms: Platforms
    origins: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def name(self) -> str:
        """Its name."""
        return self.raw.name

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of its features."""
        return self.raw.feature_names

    @property
    def unit(self) -> str:
        """Unit of the stored values."""
        return self.raw.unit

    @property
    def recipe(self) -> Mapping[str, Any]:
        """How chemistry computed it."""
        return self.raw.recipe

    def chunks(self) -> Iterator[FloatArray]:
        """Give the aligned values, some entities at a time."""
        start = 0
        for values_EF in self.raw.chunks():
            end = start + len(values_EF)
            yield self.platforms.align(values_EF, self.origins[start:end])
            start = end

    @property
    def values_EF(self) -> FloatArray:
        """All values at once."""
        return self.platforms.align(self.raw.values_EF, self.origins)


def align_entities(
    entities: Entities, rows: npt.NDArray[np.int64], how: Harmonize, names: Sequence[str] | None
) -> Entities:
    """Bring the blocks of lines from several data sets onto one scale.

    Args:
        entities: Cell lines.
        rows: Those that training rows name: maps are fitted on them alone.
        how: As in `fit_maps`; "none": nothing is done.
        names: The blocks that are used; None: all.
    """
    blocks = dict(entities.blocks)
    for name, block in entities.blocks.items():
        origins = entities.annotation(origin_column(name))
        used = names is None or name in names
        if how != "none" and used and len({origins[row] for row in rows} - {None}) > 1:
            platforms = _fit(block, rows, [origins[row] for row in rows], how)
            blocks[name] = AlignedBlock(block, platforms, tuple(origins))
    return replace(entities, blocks=blocks)


def _fit(
    block: Block, rows: npt.NDArray[np.int64], origins: Sequence[str | None], how: Harmonize
) -> Platforms:
    values_RF = block.values_EF[rows].astype(np.float64)
    lines: dict[str, npt.NDArray[np.bool_]] = {}
    for origin in sorted({own for own in origins if own is not None}):
        mine = np.array([own == origin for own in origins])
        if mine.sum() < LEAST_LINES:
            logger.warning(
                "data.transform.harmonize_cells: %d training lines have '%s' of %s, at least %d "
                "are needed; they are taken as they are",
                mine.sum(), block.name, origin, LEAST_LINES,
            )  # fmt: skip
            continue
        lines[origin] = mine
    by_feature = [_fit_feature([x_R[mine] for mine in lines.values()], how) for x_R in values_RF.T]
    return Platforms(
        {origin: [maps[place] for maps in by_feature] for place, origin in enumerate(lines)}
    )


def _fit_feature(
    groups: Sequence[npt.NDArray[np.float64]], how: Harmonize
) -> list[MonotoneMap | None]:
    known = [group[~np.isnan(group)] for group in groups]
    # Too few values tell of no scale: they have no weight.
    weights = [np.full(len(x), float(len(x) >= LEAST_LINES)) for x in known]
    return fit_maps(list(zip(known, weights, strict=True)), how)

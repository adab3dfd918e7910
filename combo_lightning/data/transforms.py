"""From raw features, responses and doses to what the network reads; fitted on training rows only.

Shapes: E entities, F features of a block, G features that the network reads.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from combo_lightning.data.blocks import CHUNK, Block, FloatArray
from combo_lightning.data.entities import Entities
from combo_lightning.data.monotone import Harmonize
from combo_lightning.data.platforms import AlignedBlock, Platforms
from combo_lightning.errors import InputError, did_you_mean

# Features are measured in float32 and may stand far from zero: a spread below this share of the
# mean is rounding, not signal.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class TransformConfig:
    """What is done to features and responses; all of it is fitted on training rows.

    Args:
        cell_blocks: Feature blocks of the cell lines to use; null: all.
        drug_blocks: Feature blocks of the drugs to use; null: all.
        standardize: Bring each feature to mean 0 and standard deviation 1.
        clip: Clip standardised features at this many standard deviations; null: no clipping.
        min_variance: Drop features whose variance over training entities is not above this;
            constant ones always go.
        pca: Blocks to replace by their first principal components, with how many.
        harmonize: Bring the studies' responses onto one scale: "none", by mean and standard
            deviation ("mean_variance") or by quantiles ("quantile"). Predictions and scores are in
            the scale of each row's study all the same.
        harmonize_cells: The same for the features of cell lines, by the data set that each line's
            block is from; needs a data set that ``combo-lightning merge`` made.
        response: "standardize" the response for the loss, or take it as it is ("none").
            Predictions and scores are in the response's own unit either way.
    """

    cell_blocks: list[str] | None = None
    drug_blocks: list[str] | None = None
    standardize: bool = True
    clip: float | None = 4.0
    min_variance: float = 0.0
    pca: dict[str, int] = field(default_factory=dict)
    harmonize: Harmonize = "none"
    harmonize_cells: Harmonize = "none"
    response: Literal["standardize", "none"] = "standardize"


@dataclass(frozen=True)
class FittedBlock:
    """The fitted transform of one feature block.

    x -> clip((fill(x) - mean) / scale) for the kept features, then principal components, if any.

    Args:
        name: The block's name.
        feature_names: All F features that a table must bring, in order.
        unit: Their unit.
        recipe: How chemistry computes them; empty for measured features.
        kept: Indices of the features that are kept, int64.
        mean: What is subtracted from each kept feature; also stands for a missing value.
        scale: What each kept feature is divided by.
        clip: Bound after scaling; None: none.
        components: Principal axes ``[G, kept]``, each divided by its component's standard
            deviation; None: no PCA.
        offset: Mean that PCA subtracts, ``[kept]``; None: no PCA.
        platforms: What brings raw values of several origins onto one scale before this transform;
            None: nothing does.
    """

    name: str
    feature_names: tuple[str, ...]
    unit: str
    recipe: Mapping[str, Any]
    kept: npt.NDArray[np.int64]
    mean: FloatArray
    scale: FloatArray
    clip: float | None
    components: FloatArray | None = None
    offset: FloatArray | None = None
    platforms: Platforms | None = None

    @property
    def width(self) -> int:
        """G, the features that this block gives to the network."""
        return len(self.kept) if self.components is None else len(self.components)

    def apply(self, values_EF: FloatArray) -> FloatArray:
        """Transform raw values, float32 ``[E, F]`` with NaN where missing, to ``[E, G]``."""
        x = self._scaled(values_EF)
        if self.components is None or self.offset is None:
            return x
        reduced = (x - self.offset) @ self.components.T
        return reduced.astype(np.float32, copy=False)

    def _scaled(self, values_EF: FloatArray) -> FloatArray:
        raw = values_EF[:, self.kept]
        filled: FloatArray = np.where(np.isnan(raw), self.mean, raw)
        bound = np.inf if self.clip is None else self.clip
        scaled: FloatArray = np.clip((filled - self.mean) / self.scale, -bound, bound)
        return scaled

    def to_plain(self) -> dict[str, Any]:
        """Give the transform as plain values and arrays, for a checkpoint."""
        return {
            "name": self.name,
            "feature_names": list(self.feature_names),
            "unit": self.unit,
            "recipe": dict(self.recipe),
            "kept": self.kept,
            "mean": self.mean,
            "scale": self.scale,
            "clip": self.clip,
            "components": self.components,
            "offset": self.offset,
            "platforms": None if self.platforms is None else self.platforms.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "FittedBlock":
        """Build the transform from what `to_plain` gave."""
        platforms = plain.get("platforms")
        built = {
            "feature_names": tuple(plain["feature_names"]),
            "platforms": None if platforms is None else Platforms.from_plain(platforms),
        }
        return cls(**{**plain, **built})


def _column_sums(
    block: Block,
    rows: npt.NDArray[np.int64],
    terms: Callable[[npt.NDArray[np.float64]], npt.NDArray[Any]],
) -> npt.NDArray[Any]:
    """Sum terms of some entities' values over the entities, feature by feature.

    Rows are added one after the other, so that the sums do not depend on where chunks end.

    Args:
        block: The block.
        rows: The entities, ascending.
        terms: Gives a term for each value of ``[e, F]``, NaN where missing.
    """
    total: npt.NDArray[Any] | None = None
    start = 0
    for values_EF in block.chunks():
        end = start + len(values_EF)
        inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, end)] - start
        start = end
        part = terms(values_EF[inside].astype(np.float64))
        before = [] if total is None else [total]
        total = np.add.reduce(np.vstack([*before, part]), axis=0)
    assert total is not None
    return total


def fit_block(block: Block, rows: npt.NDArray[np.int64], config: TransformConfig) -> FittedBlock:
    """Fit one block's transform on training entities.

    Args:
        block: The block.
        rows: Training entities, ascending.
        config: What to do.

    Raises:
        InputError: If no feature is left, or PCA asks for more components than there can be.
    """
    # One pass for both.
    count, total = np.split(
        _column_sums(block, rows, lambda x: np.hstack([~np.isnan(x), np.nan_to_num(x)])), 2
    )
    mean = total / np.maximum(count, 1)
    squares = _column_sums(block, rows, lambda x: np.nan_to_num(x - mean) ** 2)
    variance = squares / np.maximum(count, 1)
    spread = np.sqrt(variance)
    keep = (variance > config.min_variance) & (spread > _ROUNDING * np.abs(mean))
    kept = np.flatnonzero(keep)
    if not kept.size:
        raise InputError(
            f"no feature of block '{block.name}' varies over the {len(rows)} training entities; "
            "leave the block out (data.transform.cell_blocks or drug_blocks)"
        )
    scale = spread[kept] if config.standardize else np.ones(kept.size)
    fitted = FittedBlock(
        name=block.name,
        feature_names=block.feature_names,
        unit=block.unit,
        recipe=block.recipe,
        kept=kept,
        mean=mean[kept].astype(np.float32),
        scale=scale.astype(np.float32),
        clip=config.clip if config.standardize else None,
        platforms=block.platforms if isinstance(block, AlignedBlock) else None,
    )
    if block.name not in config.pca:
        return fitted
    # Principal axes need all training entities at once.
    return _with_components(fitted, fitted.apply(block.values_EF[rows]), config.pca[block.name])


def _with_components(fitted: FittedBlock, x_EF: FloatArray, count: int) -> FittedBlock:
    """Add principal components, whitened; the sign is fixed so that each run gives the same.

    Raises:
        InputError: If there cannot be that many components.
    """
    from sklearn.decomposition import PCA

    most = min(len(x_EF) - 1, x_EF.shape[1])
    if not 1 <= count <= most:
        raise InputError(
            f"pca asks for {count} components of block '{fitted.name}'; with {len(x_EF)} training "
            f"entities and {x_EF.shape[1]} features it can be 1 to {most}"
        )
    pca = PCA(n_components=count, svd_solver="full").fit(x_EF.astype(np.float64))
    axes = pca.components_
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(count), largest])[:, None]
    spread = np.sqrt(np.maximum(pca.explained_variance_, np.finfo(np.float32).tiny))
    return replace(
        fitted,
        components=(axes / spread[:, None]).astype(np.float32),
        offset=pca.mean_.astype(np.float32),
    )


def fit_blocks(
    entities: Entities, rows: npt.NDArray[np.int64], config: TransformConfig
) -> list[FittedBlock]:
    """Fit the transforms of all chosen blocks of the cell lines or drugs.

    Args:
        entities: Cell lines or drugs.
        rows: Those that training rows name.
        config: What to do, and with which blocks.

    Raises:
        InputError: If a chosen block does not exist, or none is left.
    """
    option = f"{entities.kind}_blocks"
    chosen = config.cell_blocks if entities.kind == "cell" else config.drug_blocks
    for name in chosen or []:
        if name not in entities.blocks:
            raise InputError(
                f"data.transform.{option} names '{name}', but the {entities.kind} table has "
                f"{', '.join(entities.blocks) or 'no blocks'}{did_you_mean(name, entities.blocks)}"
            )
    names = list(entities.blocks) if chosen is None else chosen
    if not names:
        raise InputError(
            f"the {entities.kind} table has no feature block to learn from; prepare the data set "
            f"with features, or name some in data.transform.{option}"
        )
    return [fit_block(entities.blocks[name], rows, config) for name in names]


def transformed_chunks(
    fitted: Sequence[FittedBlock], blocks: Mapping[str, Block], count: int
) -> Iterator[FloatArray]:
    """Transform entities piece by piece; a block that they lack counts as missing as a whole.

    Args:
        fitted: The transforms, in the order in which the network reads them.
        blocks: The entities' blocks by name, with the features of the fitted ones.
        count: E, the number of entities.

    Yields:
        What the network reads, float32 ``[e, G]``, finite, in the entities' order.
    """
    parts = [
        blocks[f.name].chunks() if f.name in blocks else _absent(len(f.feature_names), count)
        for f in fitted
    ]
    for values in zip(*parts, strict=True):
        pairs = zip(fitted, values, strict=True)
        yield np.concatenate([f.apply(values_EF) for f, values_EF in pairs], axis=1)


def _absent(width: int, count: int) -> Iterator[FloatArray]:
    for start in range(0, count, CHUNK):
        yield np.full((min(CHUNK, count - start), width), np.nan, dtype=np.float32)


def apply_blocks(
    fitted: Sequence[FittedBlock], blocks: Mapping[str, Block], count: int
) -> FloatArray:
    """Transform entities into one array ``[E, G]``; see `transformed_chunks`."""
    whole = np.empty((count, sum(f.width for f in fitted)), dtype=np.float32)
    start = 0
    for part in transformed_chunks(fitted, blocks, count):
        whole[start : start + len(part)] = part
        start += len(part)
    return whole


@dataclass(frozen=True)
class Standardizer:
    """x -> (x - mean) / scale, for responses and for doses."""

    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, values: FloatArray, weights: FloatArray | None = None) -> "Standardizer":
        """Fit mean and standard deviation, weighted; a constant keeps the scale 1."""
        x = values.astype(np.float64)
        w = np.ones_like(x) if weights is None else weights.astype(np.float64)
        total = w.sum()
        if not total:
            return cls()
        mean = float((w * x).sum() / total)
        spread = float(np.sqrt((w * (x - mean) ** 2).sum() / total))
        return cls(mean=mean, scale=spread if spread > 0 else 1.0)

    def apply(self, values: FloatArray) -> FloatArray:
        """Standardise, in float64 inside."""
        result: FloatArray = ((values.astype(np.float64) - self.mean) / self.scale).astype(
            np.float32
        )
        return result

    def invert(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Bring standardised values back to their unit."""
        return values.astype(np.float64) * self.scale + self.mean

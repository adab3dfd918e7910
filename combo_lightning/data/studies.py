"""The studies that a model knows, and their scales of the response.

Shapes: N measurements, S studies.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.dataset import Responses
from combo_lightning.data.monotone import Floats, Harmonize, MonotoneMap, fit_maps
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)

UNKNOWN = -1


@dataclass(frozen=True)
class KnownStudies:
    """The studies of a data set.

    Args:
        names: S names, as `Responses.studies` lists them; empty: all rows are of one study.
        seen: Whether a training row is of each, bool ``[S]``.
        maps: From each one's responses to the common scale (see `fit_maps`); None: there is no
            training row, and responses are taken to be on the common scale. Empty: responses are
            not harmonised.
    """

    names: tuple[str, ...]
    seen: npt.NDArray[np.bool_]
    maps: tuple[MonotoneMap | None, ...] = ()

    @classmethod
    def fit(
        cls, responses: Responses, rows: npt.NDArray[np.int64], how: Harmonize
    ) -> "KnownStudies":
        """Fit each study's scale on training rows.

        Args:
            responses: All measurements.
            rows: The training rows.
            how: How scales are brought together; "none": they are not.
        """
        if responses.study_N is None:
            return cls((), np.zeros(0, dtype=bool))
        names = responses.studies
        study_R = study_codes(responses)[rows]
        seen = np.array([bool((study_R == s).any()) for s in range(len(names))])
        if how == "none":
            return cls(names, seen)
        response_R = responses.response_N[rows].astype(np.float64)
        weight = np.ones(len(rows))
        if responses.weight_N is not None:
            weight = responses.weight_N[rows].astype(np.float64)
        own = [study_R == study for study in range(len(names))]
        maps = fit_maps([(response_R[rows], weight[rows]) for rows in own], how)
        unseen = [name for name, known in zip(names, maps, strict=True) if known is None and name]
        if unseen:
            logger.info(
                "data.transform.harmonize: no training row is of %s, whose responses are taken to "
                "be on the common scale",
                ", ".join(unseen[:5]) + (" .." if len(unseen) > 5 else ""),
            )
        return cls(names, seen, tuple(maps))

    def to_common(
        self, values: npt.NDArray[Any], study: npt.NDArray[Any] | None
    ) -> npt.NDArray[Any]:
        """Bring responses onto the common scale; where there is none, they stay as they are.

        Args:
            values: Responses in their studies' scales.
            study: Study of each, an index into `names`; `UNKNOWN`: the common scale. None: so all.
        """
        return self._mapped(values, study, back=False)

    def from_common(
        self, values: npt.NDArray[Any], study: npt.NDArray[Any] | None
    ) -> npt.NDArray[Any]:
        """Bring responses back into their studies' scales; arguments as in `to_common`."""
        return self._mapped(values, study, back=True)

    def _mapped(
        self, values: npt.NDArray[Any], study: npt.NDArray[Any] | None, *, back: bool
    ) -> npt.NDArray[Any]:
        if not self.maps or study is None:
            return values
        result: Floats = values.astype(np.float64)
        for number, known in enumerate(self.maps):
            own = study == number
            if known is not None and own.any():
                result[own] = known.invert(result[own]) if back else known.apply(result[own])
        return result

    def index(self, name: str, where: str) -> int:
        """Look a study up.

        Args:
            name: Its name; empty: it is unknown.
            where: The option, for messages.

        Raises:
            InputError: If the model knows no study of that name.
        """
        if not name:
            return UNKNOWN
        if name not in self.names:
            known = [study for study in self.names if study]
            raise InputError(
                f"{where}: the study '{name}' is not known{did_you_mean(name, known)}; known are "
                f"{', '.join(known[:10]) or 'none'}; leave it out for a study that the model does "
                "not know"
            )
        return self.names.index(name)

    def to_plain(self) -> dict[str, Any]:
        """Give plain values and arrays, for a checkpoint."""
        return {
            "names": list(self.names),
            "seen": self.seen,
            "maps": [None if known is None else known.to_plain() for known in self.maps],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any] | None) -> "KnownStudies":
        """Build from what `to_plain` gave; None: a checkpoint from before there were studies."""
        if plain is None:
            return cls((), np.zeros(0, dtype=bool))
        maps = (
            None if known is None else MonotoneMap.from_plain(known) for known in plain["maps"]
        )
        return cls(tuple(plain["names"]), plain["seen"], tuple(maps))


def study_codes(responses: Responses) -> npt.NDArray[np.int16]:
    """Give the study of each row, an index into `Responses.studies`; `UNKNOWN`: it has no name."""
    if responses.study_N is None:
        return np.full(len(responses), UNKNOWN, dtype=np.int16)
    code_S = np.array([i if name else UNKNOWN for i, name in enumerate(responses.studies)])
    codes: npt.NDArray[np.int16] = code_S.astype(np.int16)[responses.study_N]
    return codes

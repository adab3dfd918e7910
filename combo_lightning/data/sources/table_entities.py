"""The user's own tables of cell lines and drugs, with one column a feature."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from combo_lightning.data.chemistry import drug_blocks, inchikey
from combo_lightning.data.entities import Entities, FeatureBlock, build_entities
from combo_lightning.data.names import JoinReport, cell_key, drug_key, match_names
from combo_lightning.data.sources.columns import GUESSES, find_column, numbers, read_table
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)


def read_entities_table(
    path: Path | None, kind: str, wanted: Sequence[str], chemistry: Sequence[str]
) -> tuple[Entities, JoinReport | None]:
    """Read the table of cell lines or drugs: an id, a name, and one column a feature.

    Text columns become annotations, number columns one feature block (``features``); a SMILES
    column gives computed blocks. A table that stands the other way round (a row a feature, a
    column an entity) is turned.

    Args:
        path: The table; None: there is none.
        kind: "cell" or "drug".
        wanted: Entities of the responses, which the ids are matched to.
        chemistry: Kinds of features to compute from SMILES.

    Raises:
        InputError: If nothing matches, or rows of one entity disagree.
    """
    option, entity = ("--cells", "cell") if kind == "cell" else ("--drugs", "drug")
    if path is None:
        annotations = {"name": list(wanted), "synonyms": [[] for _ in wanted]}
        return build_entities(entity, wanted, annotations, []), None  # type: ignore[arg-type]
    frame, where = read_table(path, option), f"{option}: {path}"
    key = cell_key if kind == "cell" else drug_key
    frame, id_column = _upright(frame, wanted, key, where)
    names = frame[id_column].map(str)
    agree = frame.drop_duplicates()
    twice = agree[id_column].map(str).duplicated()
    if twice.any():
        name = agree[id_column][twice].iloc[0]
        raise InputError(f"{where}: '{name}' stands in two rows that disagree; keep one")
    report = match_names(wanted, names, f"{kind}s in {option}", key=key)
    if not report.matched:
        raise InputError(
            f"{where}: none of the {len(wanted)} {kind}s of the responses is there; the file has "
            f"{', '.join(names[:4])}, the responses {', '.join(list(wanted)[:4])}"
        )
    place = {name: i for i, name in reversed(list(enumerate(names)))}
    rows = [place[report.matched[w]] if w in report.matched else -1 for w in wanted]
    taken = frame.reset_index(drop=True).reindex(rows).reset_index(drop=True)
    return _build(taken, id_column, kind, wanted, chemistry, where), report


def _upright(
    frame: pd.DataFrame, wanted: Sequence[str], key: Any, where: str
) -> tuple[pd.DataFrame, str]:
    """Give the table with one row an entity, and its id column."""
    keys = {key(name) for name in wanted}
    columns = [str(column) for column in frame.columns]
    hits = {
        column: int(frame[column].dropna().map(lambda v: key(str(v)) in keys).sum())
        for column in columns[:8]
    }
    best = max(hits, key=hits.__getitem__)
    across = sum(key(column) in keys for column in columns[1:])
    if across > hits[best]:
        logger.info("%s: a column an entity; turned", where)
        first = columns[0]
        turned = frame.set_index(first).T.reset_index(names="id")
        turned.columns = [str(column) for column in turned.columns]
        return turned, "id"
    logger.info("%s: column '%s' names the entities", where, best)
    return frame, best


def _build(
    frame: pd.DataFrame,
    id_column: str,
    kind: str,
    wanted: Sequence[str],
    chemistry: Sequence[str],
    where: str,
) -> Entities:
    name = find_column(frame, None, GUESSES["name"], "name", where) if kind == "drug" else None
    annotations: dict[str, Sequence[Any]] = {
        "name": [
            str(v) if v is not None and v == v else w
            for v, w in zip(frame[name] if name else frame[id_column], wanted, strict=True)
        ],
        "synonyms": [[] for _ in wanted],
    }
    blocks: list[FeatureBlock] = []
    used = {id_column, name}
    role = "tissue" if kind == "cell" else "smiles"
    column = find_column(frame, None, GUESSES[role], role, where)
    if column is not None:
        used.add(column)
        values = [None if v is None or v != v else str(v) for v in frame[column]]
        annotations[role] = values
        if kind == "drug":
            annotations["inchikey"] = [
                inchikey(s, w) if s else None for s, w in zip(values, wanted, strict=True)
            ]
            blocks += drug_blocks(values, list(wanted), chemistry)
    features = {}
    for other in frame.columns:
        if other in used:
            continue
        values_ = pd.to_numeric(frame[other], errors="coerce")
        if values_.notna().any() and values_.isna().sum() == frame[other].isna().sum():
            features[str(other)] = numbers(frame, str(other), where)
        else:
            logger.info("%s: column '%s' is text and not a feature", where, other)
    if features:
        table = np.stack(list(features.values()), axis=1).astype(np.float32)
        blocks.append(FeatureBlock("features", tuple(features), "as given", table))
    entity: Any = kind
    return build_entities(entity, wanted, annotations, blocks)

"""Drugs of a data set that are one compound under several identifiers."""

import logging
from collections import defaultdict
from collections.abc import Sequence

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.dataset_writer import DatasetWriter
from combo_lightning.data.entities import Entities, build_entities

logger = logging.getLogger(__name__)


def equal_drugs(ids: Sequence[str], keys: Sequence[str | None]) -> list[list[str]]:
    """Group the ids that share an InChIKey, each group and the groups in order.

    Args:
        ids: Identifiers of the drugs.
        keys: InChIKey of each; None: unknown, and equal to no other.

    Returns:
        Groups of two and more.
    """
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for drug, key in zip(ids, keys, strict=True):
        if key is not None:
            groups[key].append(drug)
    return [group for group in groups.values() if len(group) > 1]


def merge_duplicates(writer: DatasetWriter, drugs: Entities) -> Entities:
    """Make drugs of one InChIKey one drug, in the rows that are written and among the entities.

    The first id stays; the others, and their names, become its synonyms. Rows that differed in the
    id alone become replicates.

    Args:
        writer: Who wrote the rows.
        drugs: All drugs, with blocks in memory.
    """
    groups = equal_drugs(drugs.ids, drugs.annotation("inchikey"))
    names = {other: group[0] for group in groups for other in group[1:]}
    if not names:
        return drugs
    logger.info("merged %d drugs: %s", len(names), "; ".join(" = ".join(g) for g in groups))
    twice = writer.rename_drugs(names)
    if twice:
        logger.warning("%d rows combine a compound with itself since drugs were merged", twice)
    kept = [i for i, drug in enumerate(drugs.ids) if drug not in names]
    words = dict(zip(drugs.ids, drugs.synonyms(), strict=True))
    called = dict(zip(drugs.ids, drugs.annotation("name"), strict=True))
    for other, first in names.items():
        more = [*words[first], other, called[other] or other, *words[other]]
        words[first] = [w for w in dict.fromkeys(more) if w not in (first, called[first])]
    annotations = {n: [values[i] for i in kept] for n, values in drugs.annotations.items()}
    annotations["synonyms"] = [words[drugs.ids[i]] for i in kept]
    blocks = [
        FeatureBlock(b.name, b.feature_names, b.unit, b.values_EF[kept], b.recipe)
        for b in drugs.blocks.values()
    ]
    return build_entities("drug", [drugs.ids[i] for i in kept], annotations, blocks)

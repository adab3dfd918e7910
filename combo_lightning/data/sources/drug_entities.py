"""From drugs that were found to the drugs of a data set: annotations, and features of structures.

Shapes: E drugs.
"""

import logging
from collections.abc import Sequence
from typing import Any

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.chemistry import drug_blocks, mixture
from combo_lightning.data.duplicates import equal_drugs
from combo_lightning.data.names import drug_key
from combo_lightning.data.sources.drug_record import Drug
from combo_lightning.data.sources.drug_schema import PREFIX, DrugTable

logger = logging.getLogger(__name__)


def describe_drugs(
    ids: Sequence[str],
    drugs: Sequence[Drug | None],
    table: DrugTable,
    chemistry: Sequence[str],
    notes: list[str],
) -> tuple[dict[str, Sequence[Any]], list[FeatureBlock]]:
    """Write down what is known of each drug, and compute features of its structure.

    Args:
        ids: E identifiers in the data set.
        drugs: What was found of each; None: nothing.
        table: Where it was found.
        chemistry: Kinds of features to compute.
        notes: What people should know: mixtures, and drugs that are one compound; added to.

    Returns:
        Annotations and blocks of `data.entities.Entities`.
    """
    names = [drug.name if drug else i for i, drug in zip(ids, drugs, strict=True)]
    annotations: dict[str, Sequence[Any]] = {
        "name": names,
        "synonyms": [_synonyms(i, drug) for i, drug in zip(ids, drugs, strict=True)],
    }
    notes += _spelled_alike(ids, [drug.key if drug else None for drug in drugs])
    mechanisms = [drug.mechanism if drug else None for drug in drugs]
    if any(mechanisms):
        annotations["mechanism"] = mechanisms
    if not any(file.has_smiles for file in table.files):
        if chemistry:
            logger.info("drugs: no structures, so no features from structures")
        return annotations, []
    annotations["smiles"] = smiles = [drug.smiles if drug else None for drug in drugs]
    annotations["inchikey"] = keys = [drug.key if drug else None for drug in drugs]
    labels = [drug.label if drug else i for i, drug in zip(ids, drugs, strict=True)]
    notes += _notes(ids, labels, smiles)
    notes += [
        f"one compound: {', '.join(group)}; splits keep them together, --merge_duplicates true "
        "makes them one drug"
        for group in equal_drugs(ids, keys)
    ]
    return annotations, drug_blocks(smiles, labels, chemistry)


def _spelled_alike(ids: Sequence[str], keys: Sequence[str | None]) -> list[str]:
    """Tell of drugs without a structure whose names differ in case and punctuation alone."""
    groups = equal_drugs(ids, [drug_key(i) or None for i in ids])
    known = dict(zip(ids, keys, strict=True))
    return [
        f"perhaps one drug, as spelled alike: {', '.join(group)}; they stay {len(group)} drugs, "
        "which splits do not keep together"
        for group in groups
        if any(known[drug] is None for drug in group)
    ]


def _notes(ids: Sequence[str], labels: Sequence[str], smiles: Sequence[str | None]) -> list[str]:
    """Tell of drugs without a structure, and of structures that are several drugs."""
    notes = []
    lacking = [i for i, text in zip(ids, smiles, strict=True) if not text]
    if lacking:
        shown = ", ".join(lacking[:5]) + (" ..." if len(lacking) > 5 else "")
        notes.append(f"{len(lacking)} of {len(ids)} drugs have no structure: {shown}")
    for text, label in zip(smiles, labels, strict=True):
        parts = mixture(text, label) if text else []
        if parts:
            notes.append(
                f"{label} is a mixture: taken is {parts[0]}, left out {', '.join(parts[1:])}; a "
                "combination of drugs is better given as one drug a slot"
            )
    return notes


def _synonyms(own: str, drug: Drug | None) -> list[str]:
    if drug is None:
        return []
    words = [PREFIX[role] + value for role, value in drug.identifiers.items()]
    words += [f"NSC{drug.identifiers['nsc']}"] if "nsc" in drug.identifiers else []
    return [w for w in dict.fromkeys([*words, *drug.synonyms]) if w not in (own, drug.name)]

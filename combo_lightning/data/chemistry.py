"""From SMILES to drug features, and to the InChIKey that tells equal compounds.

Shapes: E drugs, F features.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors, rdFingerprintGenerator, rdMolDescriptors
from rdkit.Chem.MolStandardize import rdMolStandardize

from combo_lightning.data.blocks import FeatureBlock, FloatArray
from combo_lightning.data.salts import drug_parts, mixture_of
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)

KINDS = ("descriptors", "morgan", "maccs")
MORGAN_RADIUS = 2
MORGAN_BITS = 2048
# Ipc, the information content of the characteristic polynomial, reaches 8e22: its logarithm is
# kept. Any other value beyond LARGEST is a numerical accident and counts as missing.
LOG_DESCRIPTOR = "Ipc"
LARGEST = 1e12
# What may be a counter-ion of a salt; any other metal is part of the drug (cisplatin).
_COUNTER_IONS = {"Li", "Na", "K", "Mg", "Ca"}
_NON_METALS = {"H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "As", "Se", "Br", "I"}


def read_molecule(smiles: str, label: str) -> Chem.Mol:
    """Parse a SMILES string and keep the drug itself.

    Salts lose their counter-ions, solvents and charges (imatinib mesylate gives imatinib, pyrantel
    pamoate pyrantel). Of several drugs in one structure the largest is kept; `mixture` names them.
    A molecule with a metal beyond counter-ions, or without carbon, is kept whole.

    Args:
        smiles: The string.
        label: The drug's name, for messages.

    Raises:
        InputError: If it cannot be parsed.
    """
    molecule = _parse(smiles, label)
    if _is_whole(molecule):
        return molecule
    # RDKit writes its complaints to standard error; nobody needs them here.
    with rdBase.BlockLogs():
        if len(Chem.GetMolFrags(molecule)) > 1:
            molecule = drug_parts(molecule)[0]
        return rdMolStandardize.Uncharger().uncharge(molecule)


def mixture(smiles: str, label: str) -> list[str]:
    """Give the SMILES of the drugs that a structure mixes, the largest (the one kept) first.

    Args:
        smiles: The string.
        label: The drug's name, for messages.

    Returns:
        Empty if it is one drug, with or without counter-ions and solvents.

    Raises:
        InputError: If it cannot be parsed.
    """
    if "." not in smiles:
        return []
    molecule = _parse(smiles, label)
    return [] if _is_whole(molecule) else mixture_of(molecule)


def _parse(smiles: str, label: str) -> Chem.Mol:
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles.strip())
    if molecule is None or not molecule.GetNumAtoms():
        raise InputError(
            f"drug '{label}': RDKit cannot read the SMILES '{smiles}'; correct it or leave "
            "it empty"
        )
    return molecule


def _is_whole(molecule: Chem.Mol) -> bool:
    symbols = {atom.GetSymbol() for atom in molecule.GetAtoms()}
    return "C" not in symbols or bool(symbols - _NON_METALS - _COUNTER_IONS)


def inchikey(smiles: str, label: str) -> str:
    """Compute the InChIKey of the drug itself (see `read_molecule`); equal for salt and base.

    Raises:
        InputError: If the SMILES cannot be parsed.
    """
    molecule = read_molecule(smiles, label)
    with rdBase.BlockLogs():
        return str(Chem.MolToInchiKey(molecule))  # type: ignore[no-untyped-call]  # RDKit


def drug_blocks(
    smiles: Sequence[str | None],
    labels: Sequence[str],
    kinds: Sequence[str] = ("descriptors", "morgan"),
) -> list[FeatureBlock]:
    """Compute feature blocks from structures.

    Args:
        smiles: E strings; None: unknown structure, all features missing.
        labels: E names, for messages.
        kinds: Of "descriptors" (all 2-D descriptors of RDKit), "morgan" (counts of circular
            substructures, radius 2, 2,048 bins) and "maccs" (167 keys).

    Returns:
        One block a kind, each with the recipe that `featurise` follows.

    Raises:
        InputError: If a SMILES cannot be parsed or a kind is unknown.

    Source:
        RDKit; Rogers and Hahn 2010 (Morgan); Durant et al. 2002 (MACCS).
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(
                f"unknown chemistry '{kind}'; known are {', '.join(KINDS)}"
                + did_you_mean(kind, KINDS)
            )
    molecules = [
        None if text is None or not text.strip() else read_molecule(text, label)
        for text, label in zip(smiles, labels, strict=True)
    ]
    with rdBase.BlockLogs():
        return [_COMPUTE[kind](molecules) for kind in kinds]


@dataclass(frozen=True)
class Recipe:
    """What it takes to compute a known block for new drugs.

    Args:
        name: The block's name.
        feature_names: Its features, in order.
        steps: Its recipe, as `drug_blocks` gave it.
    """

    name: str
    feature_names: tuple[str, ...]
    steps: Mapping[str, Any]


@dataclass(frozen=True)
class Featurised:
    """Structures turned into features, but for those that cannot be read.

    Args:
        keys: InChIKey of each drug; empty where it cannot be read.
        problems: What is wrong with each; empty where nothing is.
        blocks: Blocks of those that can be read, in their order.
    """

    keys: list[str]
    problems: list[str]
    blocks: dict[str, FeatureBlock]


def check_recipes(recipes: Sequence[Recipe]) -> None:
    """Tell whether new drugs can get these blocks.

    Raises:
        InputError: If a block was not computed from structures.
    """
    for recipe in recipes:
        if recipe.steps.get("kind") not in KINDS:
            raise InputError(
                f"the model needs the drug block '{recipe.name}', which was not computed from "
                "structures; it cannot predict drugs that were not in its data set"
            )
        version = recipe.steps.get("rdkit_version")
        if version != rdBase.rdkitVersion:
            logger.warning(
                "block '%s' was computed with RDKit %s, this is %s: features may differ slightly",
                recipe.name,
                version,
                rdBase.rdkitVersion,
            )


def featurise(
    recipes: Sequence[Recipe], smiles: Sequence[str], labels: Sequence[str]
) -> Featurised:
    """Compute for new drugs the blocks that known drugs have.

    Args:
        recipes: The blocks; see `check_recipes`.
        smiles: E strings.
        labels: E names, for messages.

    Returns:
        The blocks with just the recipes' features in their order (a descriptor that this RDKit
        does not have is missing for all), and what could not be read.
    """
    keys, problems, molecules = [], [], []
    for text, label in zip(smiles, labels, strict=True):
        try:
            molecule = read_molecule(text, label)
        except InputError as error:
            keys.append("")
            problems.append(str(error))
            continue
        molecules.append(molecule)
        problems.append("")
        with rdBase.BlockLogs():
            keys.append(str(Chem.MolToInchiKey(molecule)))  # type: ignore[no-untyped-call]
    blocks = {}
    for recipe in recipes:
        with rdBase.BlockLogs():
            block = _COMPUTE[recipe.steps["kind"]](molecules)
        place = {feature: i for i, feature in enumerate(block.feature_names)}
        values = np.full((len(molecules), len(recipe.feature_names)), np.nan, dtype=np.float32)
        for column, feature in enumerate(recipe.feature_names):
            if feature in place:
                values[:, column] = block.values_EF[:, place[feature]]
        blocks[recipe.name] = FeatureBlock(
            recipe.name, recipe.feature_names, block.unit, values, recipe.steps
        )
    return Featurised(keys, problems, blocks)


def _descriptors(molecules: Sequence[Chem.Mol | None]) -> FeatureBlock:
    names = [name for name, _ in Descriptors.descList]
    rows = []
    for molecule in molecules:
        if molecule is None:
            rows.append([np.nan] * len(names))
            continue
        values = Descriptors.CalcMolDescriptors(  # type: ignore[no-untyped-call]  # RDKit
            molecule, missingVal=np.nan, silent=True
        )
        rows.append([float(values[name]) for name in names])
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    place = names.index(LOG_DESCRIPTOR)
    table[:, place] = np.log10(1 + table[:, place])
    names[place] = f"log10_1p_{LOG_DESCRIPTOR}"
    table[~(np.abs(table) < LARGEST)] = np.nan
    return _block("descriptors", names, "as RDKit gives them", table.astype(np.float32), {})


def _morgan(molecules: Sequence[Chem.Mol | None]) -> FeatureBlock:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=MORGAN_RADIUS, fpSize=MORGAN_BITS)
    table = np.full((len(molecules), MORGAN_BITS), np.nan, dtype=np.float32)
    for row, molecule in enumerate(molecules):
        if molecule is not None:
            table[row] = generator.GetCountFingerprintAsNumPy(molecule)
    names = [f"morgan_{i}" for i in range(MORGAN_BITS)]
    parameters = {"radius": MORGAN_RADIUS, "bits": MORGAN_BITS}
    return _block("morgan", names, "count", table, parameters)


def _maccs(molecules: Sequence[Chem.Mol | None]) -> FeatureBlock:
    table = np.full((len(molecules), 167), np.nan, dtype=np.float32)
    for row, molecule in enumerate(molecules):
        if molecule is not None:
            table[row] = np.array(
                rdMolDescriptors.GetMACCSKeysFingerprint(molecule), dtype=np.float32
            )
    return _block("maccs", [f"maccs_{i}" for i in range(167)], "present", table, {})


def _block(
    kind: str,
    names: Sequence[str],
    unit: str,
    values_EF: npt.NDArray[np.float32],
    parameters: Mapping[str, Any],
) -> FeatureBlock:
    recipe = {"kind": kind, "rdkit_version": rdBase.rdkitVersion, **parameters}
    values: FloatArray = values_EF
    return FeatureBlock(kind, tuple(names), unit, values, recipe)


_COMPUTE = {"descriptors": _descriptors, "morgan": _morgan, "maccs": _maccs}

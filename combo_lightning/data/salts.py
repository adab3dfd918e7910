"""What of a structure is the drug: counter-ions and solvents go, several drugs are a mixture."""

from functools import cache

from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors
from rdkit.Chem.MolStandardize import rdMolStandardize

# What registries strip from a compound's structure. Ions without carbon and metals go anyway.
# Source: the counter-ions of approved drugs and the usual solvents, as the ChEMBL structure
# pipeline strips them (Bento et al. 2020); the list is our own and shorter.
_ACIDS = (
    "CS(=O)(=O)O", "CCS(=O)(=O)O", "OCCS(=O)(=O)O", "OS(=O)(=O)CCS(=O)(=O)O",
    "Cc1ccc(cc1)S(=O)(=O)O", "OS(=O)(=O)c1ccccc1", "OS(=O)(=O)c1ccc2ccccc2c1",
    "CC1(C)C2CCC1(CS(=O)(=O)O)C(=O)C2", "OS(=O)(=O)C(F)(F)F", "OC=O", "CC(=O)O", "CCC(=O)O",
    "OC(=O)C(F)(F)F", "OC(=O)C(=O)O", "OC(=O)CC(=O)O", "OC(=O)CCC(=O)O", "OC(=O)C=CC(=O)O",
    "OC(=O)CC(O)C(=O)O", "OC(=O)C(O)C(O)C(=O)O", "OC(=O)CC(O)(CC(=O)O)C(=O)O", "CC(O)C(=O)O",
    "OCC(=O)O", "OC(=O)c1ccccc1", "OC(=O)c1ccccc1O", "OC(=O)C(O)c1ccccc1",
    "OCC(O)C(O)C(O)C(O)C(=O)O", "OCC(O)C1OC(=O)C(O)=C1O", "OC(=O)c1cc2ccccc2cc1O",
    "OC(=O)c1ccc2ccccc2c1O", "OC(=O)c1cc2ccccc2c(Cc2c(O)c(cc3ccccc23)C(=O)O)c1O",
    "O=C1NS(=O)(=O)c2ccccc12", "OC(=O)CCCCC(=O)O", "CCCCCCCCCCCCCCCCCC(=O)O", "NCCS(=O)(=O)O",
)  # fmt: skip
_BASES = (
    "CNCC(O)C(O)C(O)C(O)CO", "NC(CO)(CO)CO", "C[N+](C)(C)CCO", "NCCO", "OCCNCCO",
    "NCCCCC(N)C(=O)O", "NC(CCCNC(N)=N)C(=O)O", "CCN(CC)CC", "CCNCC", "C1CNCCN1", "NCCN",
    "C1CCC(CC1)NC1CCCCC1", "C(CNCc1ccccc1)NCc1ccccc1", "CC(C)(C)N", "C1COCCN1", "c1ccncc1",
)  # fmt: skip
_SOLVENTS = (
    "CO", "CCO", "CC(C)O", "CC(O)CO", "OCC(O)CO", "CC(C)=O", "CC#N", "CS(C)=O", "CN(C)C=O",
    "ClCCl", "ClC(Cl)Cl", "CCOC(C)=O", "C1CCOC1", "C1COCCO1", "Cc1ccccc1", "c1ccccc1",
    "CCOCC", "CCCCCC",
)  # fmt: skip
# A part with fewer heavy atoms than this is no second drug, whatever it is.
_SMALLEST_DRUG = 6


def drug_parts(molecule: Chem.Mol) -> list[Chem.Mol]:
    """Give the parts of a structure that are drugs, each once, the largest first.

    Counter-ions and solvents go; a part that comes twice (a hemisulfate) or as its mirror image is
    one part. A compound that is nothing but counter-ions (sodium citrate) keeps its acids, else
    what it has.

    Args:
        molecule: A structure of one or more fragments.

    Returns:
        Fragments as they stand in it; empty if none holds carbon.
    """
    organic: dict[str, Chem.Mol] = {}
    drugs: list[Chem.Mol] = []
    for part in Chem.GetMolFrags(molecule, asMols=True):
        if any(atom.GetAtomicNum() == 6 for atom in part.GetAtoms()):
            organic.setdefault(_key(part), part)
    # Of nothing but ions (choline salicylate) the acid is rather the drug.
    for others in (_keys(_ACIDS + _BASES + _SOLVENTS), _keys(_BASES + _SOLVENTS), frozenset()):
        drugs = [part for key, part in organic.items() if key not in others]
        if drugs:
            break
    return sorted(drugs, key=_size, reverse=True)


def mixture_of(molecule: Chem.Mol) -> list[str]:
    """Give the SMILES of the drugs that a structure mixes, the largest first; empty: one drug."""
    drugs = [part for part in drug_parts(molecule) if part.GetNumHeavyAtoms() >= _SMALLEST_DRUG]
    return [str(Chem.MolToSmiles(part)) for part in drugs] if len(drugs) > 1 else []


def _size(part: Chem.Mol) -> tuple[int, float, str]:
    # As RDKit's LargestFragmentChooser: atoms with hydrogens, mass, and then always the same one.
    atoms = part.GetNumAtoms(onlyExplicit=False)
    return atoms, rdMolDescriptors.CalcExactMolWt(part), str(Chem.MolToSmiles(part))


def _key(part: Chem.Mol) -> str:
    with rdBase.BlockLogs():
        neutral = rdMolStandardize.Uncharger().uncharge(part)
    return str(Chem.MolToSmiles(neutral, isomericSmiles=False))


@cache
def _keys(structures: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_key(Chem.MolFromSmiles(s)) for s in structures)

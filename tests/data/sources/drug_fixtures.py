"""Small files of drugs in the public formats, written by the tests themselves."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rdkit import Chem
from rdkit.Chem import rdDepictor


class Known(NamedTuple):
    nsc: str
    cid: str
    chembl: str
    cas: str
    name: str
    synonyms: tuple[str, ...]
    smiles: str
    flat_smiles: str
    inchikey: str


ASPIRIN = Known(
    "27223", "2244", "CHEMBL25", "50-78-2", "Aspirin", ("Acetylsalicylic acid", "ASA"),
    "CC(=O)OC1=CC=CC=C1C(=O)O", "CC(=O)OC1=CC=CC=C1C(=O)O", "BSYNRYMUTXBXSQ-UHFFFAOYSA-N",
)  # fmt: skip
MELPHALAN = Known(
    "8806", "460612", "CHEMBL852", "148-82-3", "Melphalan", ("Alkeran", "L-PAM"),
    "C1=CC(=CC=C1C[C@@H](C(=O)O)N)N(CCCl)CCCl", "C1=CC(=CC=C1CC(C(=O)O)N)N(CCCl)CCCl",
    "SGDBTWWWUNNDEQ-LBPRGKRZSA-N",
)  # fmt: skip
IMATINIB = Known(
    "743414", "123596", "CHEMBL1642", "220127-57-1", "Imatinib mesylate", ("Gleevec", "STI-571"),
    "CC1=C(C=C(C=C1)NC(=O)C2=CC=C(C=C2)CN3CCN(CC3)C)NC4=NC=CC(=N4)C5=CN=CC=C5.CS(=O)(=O)O",
    "CC1=C(C=C(C=C1)NC(=O)C2=CC=C(C=C2)CN3CCN(CC3)C)NC4=NC=CC(=N4)C5=CN=CC=C5.CS(=O)(=O)O",
    "YLMAHDNUQAMNNX-UHFFFAOYSA-N",
)  # fmt: skip
DRUGS = (ASPIRIN, MELPHALAN, IMATINIB)


def mol_block(smiles: str, title: str) -> str:
    """A V2000 block as PubChem's: the CID as title, hydrogens written."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDepictor.Compute2DCoords(molecule)
    molecule.SetProp("_Name", title)
    return str(Chem.MolToMolBlock(molecule)).replace("     RDKit  ", "  -OEChem-", 1)


def pubchem_record(drug: Known, *, newer: bool = True) -> str:
    """A record of a PubChem compound file, of the tags before or after 2025."""
    smiles = (
        {"PUBCHEM_SMILES": drug.smiles, "PUBCHEM_CONNECTIVITY_SMILES": drug.flat_smiles}
        if newer
        else {
            "PUBCHEM_OPENEYE_CAN_SMILES": drug.flat_smiles,
            "PUBCHEM_OPENEYE_ISO_SMILES": drug.smiles,
        }
    )
    tags = {
        "PUBCHEM_COMPOUND_CID": drug.cid,
        "PUBCHEM_COMPOUND_CANONICALIZED": "1",
        "PUBCHEM_CACTVS_SUBSKEYS": "AAADccBwOAAAAAAAAAAAAAAAAAAAAWAAAAAs",
        "PUBCHEM_IUPAC_NAME": f"systematic {drug.name.lower()}",
        "PUBCHEM_IUPAC_TRADITIONAL_NAME": drug.name.lower(),
        "PUBCHEM_IUPAC_INCHIKEY": drug.inchikey,
        "PUBCHEM_MOLECULAR_WEIGHT": "180.16",
        **smiles,
        "PUBCHEM_COORDINATE_TYPE": "1\n5\n255",
    }
    fields = "".join(f"> <{tag}>\n{value}\n\n" for tag, value in tags.items())
    return mol_block(drug.smiles, drug.cid) + fields + "$$$$\n"


def write_pubchem_sdf(path: Path, drugs: Sequence[Known] = DRUGS, *, newer: bool = True) -> Path:
    data = "".join(pubchem_record(drug, newer=newer) for drug in drugs).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_nci_sdf(path: Path, drugs: Sequence[Known] = DRUGS) -> Path:
    """NCI's layout: the structure is the mol block alone, fields with a number behind."""
    text = "".join(
        f"{mol_block(d.smiles, '')}>  <NSC>  ({i})\n{d.nsc}\n\n>  <CAS>  ({i})\n{d.cas}\n\n$$$$\n"
        for i, d in enumerate(drugs, start=1)
    )
    path.write_text(text)
    return path


def pubchem_csv(drugs: Sequence[Known] = DRUGS, *, newer: bool = True) -> str:
    """PUG REST's property table: quoted header and text, bare numbers."""
    names = ("ConnectivitySMILES", "SMILES") if newer else ("CanonicalSMILES", "IsomericSMILES")
    head = ["CID", "MolecularFormula", "MolecularWeight", *names, "InChIKey", "IUPACName", "Title"]
    rows = [",".join(f'"{name}"' for name in head)]
    for d in drugs:
        text = [d.flat_smiles, d.smiles, d.inchikey, f"systematic {d.name.lower()}", d.name]
        rows.append(f'{d.cid},"C9H8O4",180.16,' + ",".join(f'"{t}"' for t in text))
    return "\n".join(rows) + "\n"


CHEMBL_HEADER = (
    '"ChEMBL ID";"Name";"Synonyms";"Type";"Max Phase";"Molecular Weight";"Targets";'
    '"Bioactivities";"AlogP";"Molecular Formula";"Smiles";"Inchi Key"'
)


def chembl_csv(drugs: Sequence[Known] = DRUGS) -> str:
    """ChEMBL's compound export: semicolons, everything quoted, synonyms between bars."""
    rows = [
        f'"{d.chembl}";"{d.name.upper()}";"{"|".join(d.synonyms)}";"Small molecule";"4";"180.16";'
        f'"151";"4000";"1,31";"C9H8O4";"{d.smiles}";"{d.inchikey}"'
        for d in drugs
    ]
    return "\n".join([CHEMBL_HEADER, *rows]) + "\n"


def smiles_list(drugs: Sequence[Known] = DRUGS) -> str:
    return "".join(f"{d.smiles} {d.name}\n" for d in drugs)


def nsc_list(drugs: Sequence[Known] = DRUGS, header: str = "") -> str:
    """NCI's list: further lines of a number are synonyms."""
    lines = [f"{d.nsc}\t{name}\n" for d in drugs for name in (d.name, *d.synonyms)]
    return header + "".join(lines)


def nci_csv(drugs: Sequence[Known] = DRUGS) -> str:
    rows = [f'{d.nsc},"{d.name}",{d.cid},{d.smiles},Df|{d.nsc}' for d in drugs]
    return "\n".join(["NSC,NAME,CID,SMILES,MOA", *rows]) + "\n"

import pytest
from rdkit import Chem

from combo_lightning.data.chemistry import inchikey, mixture, read_molecule

AMINE = "c1ccccc1CN"


@pytest.mark.parametrize(
    "salt",
    [
        f"{AMINE}.Cl",
        f"{AMINE}.[Na+].[Cl-]",
        "c1ccccc1C[NH3+].[O-]S(=O)(=O)c1ccc(C)cc1",
        f"{AMINE}.Cc1ccc(cc1)S(=O)(=O)O.Cc1ccc(cc1)S(=O)(=O)O",  # a ditosylate
        f"{AMINE}.{AMINE}.OS(=O)(=O)O",  # a hemisulfate
        f"{AMINE}.OC(=O)CC(O)(CC(=O)O)C(=O)O",
        f"{AMINE}.OC(=O)/C=C\\C(=O)O",
        f"{AMINE}.CS(C)=O.O",  # a solvate
        # Pamoic acid is larger than the drug.
        f"{AMINE}.OC(=O)c1cc2ccccc2c(Cc2c(O)c(cc3ccccc23)C(=O)O)c1O",
    ],
)
def test_a_salt_is_its_drug_and_no_mixture(salt: str) -> None:
    assert inchikey(salt, "salt") == inchikey(AMINE, "base")
    assert mixture(salt, "salt") == []


def test_a_combination_product_is_a_mixture_of_which_the_largest_is_kept() -> None:
    trifluridine = "O=c1[nH]c(=O)n([C@H]2C[C@H](O)[C@@H](CO)O2)cc1C(F)(F)F"
    tipiracil = "N=C1CCCN1Cc1[nH]c(=O)[nH]c(=O)c1Cl"
    text = f"{tipiracil}.{trifluridine}.Cl"
    parts = mixture(text, "Lonsurf")
    assert [inchikey(p, "part") for p in parts] == [
        inchikey(trifluridine, "a"),
        inchikey(tipiracil, "b"),
    ]
    assert inchikey(text, "Lonsurf") == inchikey(trifluridine, "trifluridine")
    # In whatever order it is written.
    assert mixture(f"{trifluridine}.Cl.{tipiracil}", "Lonsurf") == parts


def test_what_is_only_counter_ions_keeps_its_organic_part() -> None:
    kept = read_molecule("OC(=O)CC(O)(CC(=O)O)C(=O)[O-].[Na+]", "sodium citrate")
    assert Chem.MolToSmiles(kept) == "O=C(O)CC(O)(CC(=O)O)C(=O)O"
    assert inchikey("C[N+](C)(C)CCO.OC(=O)c1ccccc1O", "choline salicylate") == inchikey(
        "OC(=O)c1ccccc1O", "salicylic acid"
    )


def test_a_metal_complex_is_whole_and_no_mixture() -> None:
    oxaliplatin = "[Pt+2].[O-]C(=O)C(=O)[O-].N[C@H]1CCCC[C@@H]1N"
    assert mixture(oxaliplatin, "oxaliplatin") == []
    assert read_molecule(oxaliplatin, "oxaliplatin").GetNumAtoms() == 15


def test_a_racemate_given_as_both_mirror_images_is_one_drug() -> None:
    both = "C[C@H](N)Cc1ccccc1.C[C@@H](N)Cc1ccccc1"
    assert mixture(both, "amphetamine") == []

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.chemistry import (
    Recipe,
    check_recipes,
    drug_blocks,
    featurise,
    inchikey,
    read_molecule,
)
from combo_lightning.errors import InputError

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
CISPLATIN = "N.N.Cl[Pt]Cl"


def test_salts_and_charges_are_one_compound() -> None:
    key = inchikey(ASPIRIN, "aspirin")
    assert inchikey("CC(=O)Oc1ccccc1C(=O)[O-].[Na+]", "its salt") == key
    assert inchikey(f"{ASPIRIN}.Cl", "another") == key
    assert inchikey("O=C(O)c1ccccc1OC(C)=O", "written otherwise") == key
    assert inchikey("CCO", "ethanol") != key


def test_drugs_of_metal_or_without_carbon_are_kept_whole() -> None:
    assert read_molecule(CISPLATIN, "cisplatin").GetNumAtoms() == 5
    assert read_molecule("O=[As]O[As]=O", "arsenic trioxide").GetNumAtoms() == 5


@pytest.mark.parametrize("smiles", ["not a molecule", "C1CC", "c1cccc1", "C(C)(C)(C)(C)C"])
def test_an_unreadable_smiles_is_named_with_its_drug(
    smiles: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="drug 'NSC 7': RDKit cannot read the SMILES"):
        read_molecule(smiles, "NSC 7")
    assert capfd.readouterr().err == ""


def test_blocks_have_their_widths_and_missing_structures_are_missing() -> None:
    blocks = drug_blocks([ASPIRIN, None, " "], ["a", "b", "c"], ("descriptors", "morgan", "maccs"))
    assert [b.name for b in blocks] == ["descriptors", "morgan", "maccs"]
    assert [b.values_EF.shape[1] for b in blocks[1:]] == [2048, 167]
    assert blocks[0].values_EF.shape[1] > 200
    for block in blocks:
        assert np.isnan(block.values_EF[1:]).all()
        assert np.isfinite(block.values_EF[0]).all()
    assert blocks[1].values_EF[0].sum() > 20
    assert blocks[2].values_EF[0].max() == 1


def test_ipc_comes_as_a_logarithm_and_metals_leave_gaps() -> None:
    long = "CC(=O)N" * 30 + "C"
    (block,) = drug_blocks([long, CISPLATIN], ["long", "cisplatin"], ("descriptors",))
    assert "Ipc" not in block.feature_names
    place = block.feature_names.index("log10_1p_Ipc")
    assert 10 < block.values_EF[0, place] < 100
    assert np.nanmax(np.abs(block.values_EF)) < 1e12
    assert np.isnan(block.values_EF[1]).any()


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'morgan'"):
        drug_blocks([ASPIRIN], ["a"], ("morgen",))


def test_new_drugs_get_just_the_features_of_the_known() -> None:
    blocks = drug_blocks([ASPIRIN, "CCO"], ["a", "b"])
    recipes = [Recipe(b.name, b.feature_names, b.recipe) for b in blocks]
    again = featurise(recipes, ["CCO", ASPIRIN], ["x", "y"])
    for block in blocks:
        np.testing.assert_array_equal(again.blocks[block.name].values_EF[::-1], block.values_EF)
    assert again.keys == [inchikey("CCO", "x"), inchikey(ASPIRIN, "y")]
    fewer = Recipe("descriptors", ("TPSA", "gone"), blocks[0].recipe)
    values_EF = featurise([fewer], ["CCO"], ["x"]).blocks["descriptors"].values_EF
    assert values_EF[0, 0] == pytest.approx(20.23)
    assert np.isnan(values_EF[0, 1])


def test_what_cannot_be_read_is_told_and_leaves_no_row() -> None:
    (block,) = drug_blocks(["CCO"], ["a"], ["maccs"])
    recipe = Recipe(block.name, block.feature_names, block.recipe)
    found = featurise([recipe], ["CCO", "C1CC", "CCO"], ["x", "y", "z"])
    assert [bool(problem) for problem in found.problems] == [False, True, False]
    assert "drug 'y'" in found.problems[1]
    assert [bool(key) for key in found.keys] == [True, False, True]
    assert len(found.blocks["maccs"].values_EF) == 2


def test_another_rdkit_is_told_and_measured_blocks_cannot_be_computed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check_recipes([Recipe("maccs", ("maccs_1",), {"kind": "maccs", "rdkit_version": "1999.1"})])
    assert "computed with RDKit 1999.1" in caplog.text
    with pytest.raises(InputError, match="'targets', which was not computed from structures"):
        check_recipes([Recipe("targets", ("EGFR",), {})])


@pytest.mark.real_data
def test_all_structures_of_almanac_are_read(shared_data: Path) -> None:
    drugs = pd.read_csv(shared_data / "almanac" / "drugs.csv", dtype=str)
    names = list(drugs["NSC"])
    descriptors, morgan = drug_blocks(list(drugs["SMILES"]), names)
    # shared/data/README.md: 36 values are missing (partial charges of metals).
    assert np.isnan(descriptors.values_EF).sum() == 36
    assert np.isfinite(morgan.values_EF).all()
    keys = pd.Series([inchikey(s, n) for s, n in zip(drugs["SMILES"], names, strict=True)], names)
    assert set(keys[keys.duplicated(keep=False)].index) == {"761431", "753082"}

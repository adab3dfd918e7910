"""Large features stand beside a checkpoint, whole or not at all."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from combo_lightning.checkpoint import load_checkpoint
from combo_lightning.data import catalog
from combo_lightning.data.blocks import FloatArray
from combo_lightning.data.feature_file import FeatureFile, map_features, write_features
from combo_lightning.errors import InputError
from combo_lightning.inference.predictor import Predictor
from tests.inference.models import make_checkpoint

VALUES = np.random.default_rng(3).normal(size=(7, 4)).astype(np.float32)


def test_what_was_written_is_mapped_and_equal_content_is_one_file(tmp_path: Path) -> None:
    file = write_features(tmp_path, "drug_features", (7, 4), [VALUES[:5], VALUES[5:]])
    again = write_features(tmp_path, "drug_features", (7, 4), [VALUES])
    assert again == file
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
    mapped = map_features(tmp_path, file)
    np.testing.assert_array_equal(mapped, VALUES)
    assert torch.from_numpy(mapped).data_ptr() == mapped.ctypes.data  # no copy


def test_a_missing_or_changed_file_is_told(tmp_path: Path) -> None:
    file = write_features(tmp_path, "drug_features", (7, 4), [VALUES])
    path = tmp_path / file.name
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    with pytest.raises(InputError, match="was changed or damaged"):
        map_features(tmp_path, file)
    path.unlink()
    with pytest.raises(InputError, match=f"needs {file.name} beside it"):
        map_features(tmp_path, file)


@pytest.mark.parametrize("name", ["../secret.npy", "/etc/secret.npy", "a/b.npy"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no plain file name"):
        map_features(tmp_path, FeatureFile(name, "0" * 64))


def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    def breaks() -> Iterator[FloatArray]:
        yield VALUES[:5]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_features(tmp_path, "drug_features", (7, 4), breaks())
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_large_tables_predicts_with_its_file(
    small_screen: Path, tmp_path: Path
) -> None:
    plain = make_checkpoint(small_screen, tmp_path / "plain.ckpt", join="symmetric")
    with patch.object(catalog, "LARGE_BYTES", 1):
        small = make_checkpoint(small_screen, tmp_path / "small.ckpt", tmp_path, join="symmetric")
    assert small.stat().st_size < plain.stat().st_size
    known = load_checkpoint(small)["combo_lightning"]["catalog"]["drugs"]
    assert set(known["features"]) == {"name", "sha256"}
    cell_B, drug_BK = np.array([0, 3, 5]), np.array([[0, 1], [4, 2], [9, -1]])
    answers = [Predictor.load(path).predict(cell_B, drug_BK) for path in (plain, small)]
    np.testing.assert_array_equal(answers[0], answers[1])
    (tmp_path / known["features"]["name"]).unlink()
    with pytest.raises(InputError, match="copy it there from the checkpoints folder"):
        Predictor.load(small)

"""A fit is refused, and counted, before there are processes for it."""

from pathlib import Path

import pytest

from combo_lightning.cli.planned_fit import plan_fit
from combo_lightning.errors import InputError
from tests.conftest import ROOT

DEMO, DDP, TENSOR, FSDP, TOURNAMENTS = (
    f"--config={ROOT / 'configs' / name}.yaml"
    for name in ("demo", "ddp", "tensor_parallel", "fsdp", "ltfb")
)


def test_a_fit_is_counted_without_building_its_weights(small_screen: Path) -> None:
    words = [DEMO, DDP, f"--data.path={small_screen}", "--data.batch_size=100"]
    planned = plan_fit(words, (1, 1))
    assert planned.data == small_screen
    assert planned.rows == 911
    # 30 epochs of 10 steps.
    assert planned.steps == 300
    assert planned.parameters == 167_425
    # Three files, each of weights and two moments, and the features.
    assert 0 < planned.checkpoint_bytes - 3 * 12 * planned.parameters < 200_000
    assert plan_fit([*words, "--trainer.max_steps=7"], (1, 1)).steps == 7


@pytest.mark.parametrize(
    ("words", "tasks", "sentence"),
    [
        ([DEMO], (1, 1), "2 processes would train one model"),
        ([DEMO, DDP, "--trainer.devices=4"], (1, 1), r"step JOB.0 \(2 nodes x 1 tasks\) gives 1"),
        ([DEMO, TOURNAMENTS, "--num_groups=2"], (1, 1, 1), r"cannot cut 3 tasks \(3 nodes x 1\)"),
        ([DEMO, "--num_groups=2"], (1, 1), "no LTFB callback lets the groups meet"),
        ([DEMO, TENSOR], (3,), "tensor_parallel_size 2 is 2, but there are 3 processes"),
        ([DEMO, TENSOR, "--model.network.head.widths=[33,8]"], (1, 1),
         "model.network.join is 33 wide, which cannot be cut into tensor_parallel_size 2"),
        ([DEMO, "--trainer.precision=16"], (1,), "set --precision"),
        ([DEMO, "--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val_mes"],
         (1,), "did you mean 'val_mse'"),
        ([DEMO, "--data.batch_size=0"], (1,), "data.batch_size is 0; it must be 1 or more"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_sentence_of_the_fit(
    words: list[str], tasks: tuple[int, ...], sentence: str, small_screen: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        plan_fit([*words, f"--data.path={small_screen}"], tasks)


def test_sharded_and_tensor_parallel_fits_that_fit_are_let_through(small_screen: Path) -> None:
    for overlay in (FSDP, TENSOR):
        planned = plan_fit([DEMO, overlay, f"--data.path={small_screen}"], (2,))
        assert planned.parameters == 167_425


def test_a_data_set_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no data set"):
        plan_fit([DEMO, f"--data.path={tmp_path}"], (1,))


def test_an_option_that_fit_does_not_know_ends_the_program(
    small_screen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        plan_fit([DEMO, f"--data.path={small_screen}", "--modle.loss=mse"], (1,))
    assert stop.value.code == 2
    assert "--modle.loss" in capsys.readouterr().err


def test_trainer_groups_need_room_for_each(small_screen: Path) -> None:
    words = [DEMO, TOURNAMENTS, f"--data.path={small_screen}"]
    two = plan_fit([*words, "--num_groups=2"], (1, 1))
    assert two.num_groups == 2
    assert two.checkpoint_bytes > 2 * 7 * 12 * two.parameters
    # One that meets the others as a job of its own needs its own room.
    own = plan_fit([*words, "--num_groups=2", "--group=1", "--run_dir=new"], (1,))
    assert own.joins
    assert 2 * own.checkpoint_bytes == two.checkpoint_bytes

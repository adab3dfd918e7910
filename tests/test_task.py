"""The task: loss, optimizer groups, schedule, what training saw."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from combo_lightning.data.batches import Batch, Columns, OrderedBatches
from combo_lightning.data.catalog import Catalog
from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.splits import SplitConfig, draw_split
from combo_lightning.data.transforms import TransformConfig
from combo_lightning.errors import InputError
from combo_lightning.model import EncoderConfig, HeadConfig, NetworkConfig
from combo_lightning.optimizer import OptimizerConfig, warmup_cosine
from combo_lightning.task import ComboTask
from tests.data.screens import full_screen

ENCODER = EncoderConfig(widths=[8, 8], dropout=0.2, id_embedding=4)
NETWORK = NetworkConfig(
    cell_encoder=ENCODER,
    drug_encoder=ENCODER,
    head=HeadConfig(widths=[8], dropout=0.2),
    join="slots",
    table_rank=3,
)


class _Data:
    """What `configure_model` reads of the data module."""

    def __init__(self, dataset: ScreenDataset) -> None:
        self.dataset = dataset
        self.split = draw_split(dataset, SplitConfig(), 1)
        self.catalog = Catalog.fit(dataset, self.split, TransformConfig())


class _Trainer:
    def __init__(self, data: _Data) -> None:
        self.datamodule = data
        self.strategy = SingleDeviceStrategy()
        self.global_step = 0


def build(**options: Any) -> tuple[ComboTask, Batch]:
    data = _Data(full_screen())
    task = ComboTask(network=NETWORK, **options)
    task._trainer = _Trainer(data)  # type: ignore[assignment]
    task._fabric = None
    task.log = lambda *_, **__: None  # type: ignore[method-assign]
    task.configure_model()
    columns = Columns(data.dataset.responses, data.catalog)
    (batch,) = OrderedBatches(columns, data.split.train_rows[:40], 99)
    return task.train(), batch


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    task, batch = build()
    task.eval()  # no dropout: equal rows give equal errors
    weight = torch.ones(40)
    weight[:5] = 2
    weight[35:] = 0
    twice = [*range(35), *range(5)]
    repeated = Batch(
        batch.cell_B[twice], batch.drug_BK[twice], None, batch.response_B[twice], None
    )
    weighted = task.training_step(batch._replace(weight_B=weight), 0)
    torch.testing.assert_close(weighted, task.training_step(repeated, 0))


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_the_loss_is_its_formula(loss: Any) -> None:
    task, batch = build(loss=loss, huber_delta=0.5)
    task.eval()
    error = (task(batch) - batch.response_B).abs()
    if loss == "mse":
        expected = (error**2).mean()
    else:
        small = error <= 0.5
        expected = torch.where(small, 0.5 * error**2, 0.5 * (error - 0.25)).mean()
    torch.testing.assert_close(task.training_step(batch, 0), expected)


def test_dropout_depends_on_seed_and_step_alone() -> None:
    task, batch = build()

    def loss(seed: int = 1, step: int = 0) -> float:
        task.seed = seed
        task.trainer.global_step = step  # type: ignore[misc]
        torch.manual_seed(int(torch.randint(1000, ())))  # the global state plays no part
        return task.training_step(batch, 0).item()

    first = loss()
    assert loss() == first
    assert len({first, loss(step=1), loss(seed=2)}) == 3
    assert loss(step=1) != loss(step=2)


def test_equal_seeds_give_equal_weights() -> None:
    first, second, other = build()[0], build()[0], build(seed=2)[0]
    for (name, a), b, c in zip(
        first.named_parameters(), second.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b)
        if a.numel() > 1 and "raw_slope" not in name and a.std() > 0:
            assert not torch.equal(a, c), name


def test_the_table_has_a_weight_decay_of_its_own() -> None:
    task, _ = build(
        optimizer=OptimizerConfig(name="adamw", weight_decay=0.1, table_weight_decay=9)
    )
    optimizer = task.configure_optimizers()
    rest, table = optimizer.param_groups
    assert (rest["weight_decay"], table["weight_decay"]) == (0.1, 9)
    assert [p.shape[-1] for p in table["params"]] == [3]
    counted = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
    assert counted == sum(p.numel() for p in task.parameters())


def test_feature_tables_are_not_part_of_the_state() -> None:
    task, _ = build()
    assert all(name.startswith("network.") for name in task.state_dict())
    assert task.tables()[1].features_EF.shape == (7, 5)


def test_the_schedule_warms_up_and_falls_along_a_cosine() -> None:
    steps = [warmup_cosine(step, 100, 0.2) for step in range(101)]
    assert steps[0] == pytest.approx(0.05)
    assert max(steps) == steps[20] == pytest.approx(1)
    assert steps[60] == pytest.approx(0.5, abs=0.01)
    assert steps[100] == pytest.approx(0.001)
    assert all(a < b for a, b in pairwise(steps[:21]))
    assert all(a > b for a, b in pairwise(steps[20:]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"betas": [0.9, 1.0]}, "two numbers"),
        ({"weight_decay": -1.0}, "must be 0 or more"),
        ({"warmup_fraction": 1.0}, "warmup_fraction is 1"),
    ],
)
def test_an_optimizer_that_cannot_be_is_refused(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        OptimizerConfig(**options)

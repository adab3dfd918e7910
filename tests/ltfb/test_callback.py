"""Trainer groups of a module that knows nothing of drugs hold tournaments, in real processes."""

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor

from combo_lightning.errors import InputError
from combo_lightning.ltfb import (
    LTFB,
    Exchange,
    Mutation,
    RandomPairwise,
    Range,
    RegularizedEvolution,
    Rule,
    TreeAveraging,
    TruncationSelection,
    Tuning,
)
from combo_lightning.ltfb.place import GroupPlace
from combo_lightning.ltfb.record import RoundRecord, read_rounds
from combo_lightning.ltfb.rounds import members
from tests.ltfb.processes import Groups
from tests.ltfb.toy import EVERY, Toy, options, train


def of_round(folder: Path, number: int) -> dict[int, RoundRecord]:
    return {g: record for (r, g), record in read_rounds(folder).items() if r == number}


def equal(mine: dict[Any, Any], theirs: dict[Any, Any]) -> bool:
    if mine.keys() != theirs.keys():
        return False
    return all(
        torch.equal(x, theirs[k]) if isinstance(x, Tensor) else equal(x, theirs[k])
        for k, x in mine.items()
    )


@pytest.mark.parametrize("channel", ["memory", "directory"])
def test_after_a_round_the_loser_has_all_of_the_winners_state(
    channel: str, tmp_path: Path
) -> None:
    rates = [1e-6, 0.05]
    setting = options(channel=channel, patience_seconds=20.0)
    found = Groups(2, 1, tmp_path, train, tmp_path, rates, EVERY, setting).start().results()
    loser, winner = found[0, 0], found[1, 0]
    assert equal(loser["weights"], winner["weights"])
    assert equal(loser["moments"], winner["moments"])
    assert loser["learning_rate"] == winner["learning_rate"] == 0.05
    rounds = of_round(tmp_path, 1)
    assert (rounds[0].source, rounds[0].adopted) == (1, True)
    assert (rounds[1].source, rounds[1].adopted) == (1, False)
    # One sends what the other takes: weights, two moments and a step count each.
    assert rounds[0].bytes == rounds[1].bytes > 4 * 3 * (4 * 8 + 8 + 8 + 1)
    champion = json.loads((tmp_path / "champion.json").read_text())
    assert champion["group"] == 0  # a tie, which the first keeps
    assert champion["scores"]["0"] == champion["scores"]["1"]


@pytest.mark.parametrize(
    "strategy", [RandomPairwise(), TruncationSelection(), RegularizedEvolution(sample_size=3)]
)
def test_all_descend_from_the_good_learning_rate_and_nan_never_spreads(
    strategy: Any, tmp_path: Path
) -> None:
    rates = [1e-6, 1e-4, 0.05, 1e30]
    steps = 16 * EVERY
    work = (train, tmp_path, rates, steps, options(strategy=strategy, rule=Rule(["mse"])))
    found = Groups(4, 1, tmp_path, *work).start().results()
    assert {of["learning_rate"] for of in found.values()} == {0.05}
    rounds = read_rounds(tmp_path)
    for record in rounds.values():
        taken = record.scores.get(record.source)
        if record.adopted:
            assert taken is not None
            assert math.isfinite(taken["mse"])
    # The one that diverges was seen to, and is gone.
    assert any(not math.isfinite(r.scores[r.group]["mse"]) for r in rounds.values())
    assert all(torch.isfinite(w).all() for of in found.values() for w in of["weights"].values())


def test_weights_far_beyond_the_others_are_not_averaged() -> None:
    assert members({0: 1.0, 1: 2.0, 2: 500.0, 3: math.inf, 4: math.nan}) == [0, 1]
    assert members({0: 1.0, 1: 3.0}) == [0, 1]
    assert members({2: math.nan}) == []


@pytest.mark.parametrize("diverging", [1e30, 30.0])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_averaging_leaves_models_out_that_are_not_finite_and_mends_them(
    momentum: float, diverging: float, tmp_path: Path
) -> None:
    strategy = TreeAveraging(outer_momentum=momentum, outer_learning_rate=0.7 if momentum else 1.0)
    rates = [0.01, 0.01, diverging]
    work = (train, tmp_path, rates, EVERY, options(strategy=strategy))
    found = Groups(3, 1, tmp_path, *work).start().results()
    assert equal(found[0, 0]["weights"], found[1, 0]["weights"])
    assert equal(found[0, 0]["weights"], found[2, 0]["weights"])
    assert all(torch.isfinite(w).all() for w in found[2, 0]["weights"].values())
    moments = found[2, 0]["moments"].values()
    assert all(torch.isfinite(m).all() for of in moments for m in of.values())
    for group, record in of_round(tmp_path, 1).items():
        assert record.reason == "averaged"
        assert set(record.met) == {0, 1} - {group}


def test_each_group_judges_on_rows_of_its_own_where_it_is_asked_to(tmp_path: Path) -> None:
    work = (train_with_own_rows, tmp_path, [1e-6, 0.05], EVERY, options())
    found = Groups(2, 1, tmp_path, *work).start().results()
    assert equal(found[0, 0]["weights"], found[1, 0]["weights"])
    rounds = of_round(tmp_path, 1)
    # Each scored both models, and on other rows.
    assert rounds[0].scores[1] != rounds[1].scores[1]
    assert rounds[0].source == rounds[1].source == 1
    assert found[0, 0]["learning_rate"] == 0.05


def train_with_own_rows(folder: Path, rates: Any, steps: int, setting: Any) -> dict[str, Any]:
    class OwnRows(pl.LightningDataModule):
        tournament_rows = "per_group"

        def train_dataloader(self) -> Any:
            return Toy().train_dataloader()

        def tournament_dataloader(self) -> Any:
            place = GroupPlace.from_environment()
            assert place is not None
            batches = list(Toy().tournament_dataloader())
            return batches[place.group :: place.num_groups]

    return train(folder, rates, steps, setting, data=OwnRows())


def test_hyperparameters_differ_at_first_and_mutate_with_the_model(tmp_path: Path) -> None:
    space = {"learning_rate": Range(0.001, 0.1), "dropout": Range(0.05, 0.4, "linear")}
    tuning = Tuning(space, "random", Mutation(factor=1.5))
    work = (train, tmp_path, [0.01], 4 * EVERY, options(tuning=tuning))
    Groups(2, 1, tmp_path, *work).start().results()
    rounds = read_rounds(tmp_path)
    first = [rounds[1, g].mutated or rounds[1, g].hyperparameters for g in (0, 1)]
    assert first[0] != first[1]
    adopted = [r for r in rounds.values() if r.adopted]
    assert adopted
    for record in adopted:
        assert set(record.mutated) == {"learning_rate", "dropout"}
        for name, (before, after) in record.mutated.items():
            assert after == record.hyperparameters[name]
            ratio = max(after / before, before / after)
            assert ratio == pytest.approx(1.5) or after in (space[name].low, space[name].high)


def test_a_part_of_the_weights_travels_alone(tmp_path: Path) -> None:
    exchange = Exchange(weights=r"layers\.3", optimizer=False, hyperparameters=False)
    work = (train, tmp_path, [1e-6, 0.05], EVERY, options(exchange=exchange))
    found = Groups(2, 1, tmp_path, *work).start().results()
    mine, theirs = found[0, 0]["weights"], found[1, 0]["weights"]
    assert {n for n in mine if torch.equal(mine[n], theirs[n])} == {
        "layers.3.weight",
        "layers.3.bias",
    }
    assert found[0, 0]["learning_rate"] == 1e-6


def all_came(folder: Path) -> None:
    """A busy machine that loses a group for a while decides other rounds; say so where it did."""
    for log in (folder / "out").glob("*.log"):
        said = log.read_text()
        assert "does not come" not in said, said[-3000:]


def test_a_resumed_population_ends_with_the_same_champion_bit_for_bit(tmp_path: Path) -> None:
    rates, whole, broken = [0.01, 0.02, 0.03], tmp_path / "whole", tmp_path / "broken"
    setting = options(save_every_n_rounds=2)
    once = Groups(3, 1, whole, train, whole, rates, 6 * EVERY, setting).start().results()
    Groups(3, 1, broken, train, broken, rates, 4 * EVERY + 3, setting).start().results()
    all_came(whole)
    all_came(broken)
    manifest = json.loads((broken / "population.json").read_text())
    assert manifest["round"] == 4
    work = (train_on, broken, rates, 6 * EVERY, setting)
    twice = Groups(3, 1, broken, *work, token="d" * 32).start().results()
    all_came(broken)
    for key, of in once.items():
        assert equal(of["weights"], twice[key]["weights"])
        assert equal(of["moments"], twice[key]["moments"])
    ends = [json.loads((f / "champion.json").read_text()) for f in (whole, broken)]
    assert ends[0]["scores"] == ends[1]["scores"]
    assert ends[0]["group"] == ends[1]["group"]


def train_on(folder: Path, rates: Any, steps: int, setting: Any) -> dict[str, Any]:
    from combo_lightning.ltfb.population import newest_complete_round, round_checkpoint

    place = GroupPlace.from_environment()
    assert place is not None
    newest = newest_complete_round(folder, place.num_groups)
    last = round_checkpoint(folder, place.group, newest)
    return train(folder, rates, steps, setting, resume=last)


def test_the_same_run_twice_has_the_same_bits(tmp_path: Path) -> None:
    rates = [0.01, 0.02]
    found = []
    for name in ("a", "b"):
        folder = tmp_path / name
        work = (train, folder, rates, 3 * EVERY, options())
        found.append(Groups(2, 1, folder, *work).start().results())
    for key, of in found[0].items():
        assert equal(of["weights"], found[1][key]["weights"])


def test_groups_whose_models_differ_are_refused_at_the_start(tmp_path: Path) -> None:
    work = (train_wider, tmp_path, [0.01], EVERY, options(patience_seconds=20.0))
    ended = Groups(2, 1, tmp_path, *work).start().wait()
    assert {end.code for end in ended.values()} == {1}
    assert all("give all groups the same model options" in end.log for end in ended.values())


def train_wider(folder: Path, rates: Any, steps: int, setting: Any) -> dict[str, Any]:
    place = GroupPlace.from_environment()
    assert place is not None
    return train(folder, rates, steps, setting, width=8 + place.group)


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    setting = options(patience_seconds=20.0, slow=0.05)
    groups = Groups(2, 1, tmp_path, train, tmp_path, [0.01], 20 * EVERY, setting).start()
    beats = [tmp_path / "channel" / f"group_{g}.beat" for g in (0, 1)]
    while not all(beat.exists() for beat in beats):
        time.sleep(0.05)
    other = Groups(2, 1, tmp_path / "other", train_in, tmp_path, [0.01], EVERY, setting)
    ended = other.start().wait()
    assert all("runs already" in end.log for end in ended.values()), ended
    groups.results()


def train_in(folder: Path, *arguments: Any) -> dict[str, Any]:
    place = GroupPlace.from_environment()
    assert place is not None
    os.environ |= GroupPlace(place.group, 2, folder, "e" * 32).to_environment()
    return train(folder, *arguments)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"every_n_epochs": 2}, "set one of them"),
        ({"every_n_train_steps": 0}, "set one of them"),
        ({"rule": Rule([])}, "rule.metrics"),
    ],
)
def test_options_that_contradict_each_other_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        LTFB(**change)


def test_unknown_hyperparameters_are_refused() -> None:
    with pytest.raises(InputError, match=r"tuning.space has 'momentum'"):
        Tuning({"momentum": Range(0.1, 0.9)})


def fit_here(module: pl.LightningModule, ltfb: LTFB, folder: Path) -> None:
    pl.Trainer(
        accelerator="cpu",
        max_steps=2,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
        callbacks=[ltfb],
    ).fit(module)


def test_a_module_or_run_that_cannot_take_part_is_told_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="--num_groups"):
        fit_here(Toy(), LTFB(), tmp_path)
    place = GroupPlace(0, 1, tmp_path, "f" * 32)
    for name, value in place.to_environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"'mae', but Toy.tournament_scores gives mse"):
        fit_here(Toy(), LTFB(rule=Rule(["mae"])), tmp_path)

    class Scoreless(Toy):
        tournament_scores = None  # type: ignore[assignment]

    with pytest.raises(InputError, match="has no tournament_scores"):
        fit_here(Scoreless(), LTFB(), tmp_path)

    class Empty(Toy):
        def tournament_dataloader(self) -> Any:
            return []

    with pytest.raises(InputError, match="is empty"):
        fit_here(Empty(), LTFB(), tmp_path)

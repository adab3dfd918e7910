import os
from pathlib import Path

import pytest

from combo_lightning.errors import InputError
from combo_lightning.ltfb.groups import TrainerGroups, cut_launch, host_address
from combo_lightning.ltfb.place import GroupPlace, gpus, new_token, own_devices
from combo_lightning.ports import free_port
from tests.parallel.ranks import run_on_ranks


def test_a_place_passes_through_the_environment(tmp_path: Path) -> None:
    place = GroupPlace(2, 4, tmp_path / "a folder", new_token(), "node7")
    assert GroupPlace.from_environment(place.to_environment()) == place
    assert GroupPlace.from_environment({}) is None
    assert place.group_folder == tmp_path / "a folder" / "group_2"


def test_a_group_beyond_the_last_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trainer group 4 of 4 does not exist"):
        GroupPlace(4, 4, tmp_path, "t")


@pytest.mark.parametrize(("world", "groups"), [(6, 4), (4, 3), (2, 4), (4, 0)])
def test_processes_that_do_not_divide_are_refused_with_the_numbers(
    world: int, groups: int
) -> None:
    with pytest.raises(InputError, match=f"cannot cut {world} processes into {groups} equal"):
        TrainerGroups(groups, 0, world, 0, "127.0.0.1", free_port(), store_is_there=False)


def cut() -> tuple[int, int, int, int, int, str, str]:
    found = cut_launch(2, os.environ)
    with pytest.raises(InputError, match=r"trainer.devices 3 x .* is 3; make them equal"):
        found.validate_settings(3, 1)
    found.validate_settings(2, 1)
    # The first process keeps the launch's store as long as it lives.
    done = found._store.add("done", 1)
    while os.environ["RANK"] == "0" and done < 4:
        done = found._store.add("done", 0)
    return (
        found.group,
        found.global_rank(),
        found.local_rank(),
        found.world_size(),
        found.main_port,
        found.main_address,
        found.token,
    )


def test_a_launch_is_cut_into_worlds_with_a_rendezvous_of_their_own(tmp_path: Path) -> None:
    found = run_on_ranks(4, tmp_path, cut)
    assert [f[:4] for f in found] == [(0, 0, 0, 2), (0, 1, 1, 2), (1, 0, 0, 2), (1, 1, 1, 2)]
    ports = [f[4] for f in found]
    assert ports[0] == ports[1] != ports[2] == ports[3]
    assert len({f[6] for f in found}) == 1
    assert {f[5] for f in found} == {"127.0.0.1"}


def test_a_launch_without_its_variables_is_refused() -> None:
    with pytest.raises(InputError, match="MASTER_ADDR and MASTER_PORT are not all set"):
        cut_launch(2, {"RANK": "0", "WORLD_SIZE": "4", "LOCAL_RANK": "0"})


def test_each_group_sees_its_own_gpus_alone() -> None:
    visible = gpus({"CUDA_VISIBLE_DEVICES": "4,5,6,7"})
    assert visible == ["4", "5", "6", "7"]
    assert own_devices(2, 2, visible) == {"CUDA_VISIBLE_DEVICES": "6,7"}
    # The launcher has dealt them out, or there are none.
    assert own_devices(2, 2, ["0"]) == {}
    assert own_devices(0, 1, gpus({"CUDA_VISIBLE_DEVICES": ""})) == {}


def test_this_host_is_reached_by_itself() -> None:
    assert host_address("localhost") == "127.0.0.1"

from dataclasses import replace

from combo_lightning.doctor.settings import (
    Request,
    read_request,
    settings_of_job,
    settings_of_machine,
)
from tests.doctor.healthy import healthy, machine

FITS = Request(cores=8, tasks=1, cores_per_task=8)


def test_nothing_is_to_be_set_where_all_fits() -> None:
    assert settings_of_job(healthy("node1", "node2"), FITS) == []
    assert settings_of_machine(machine()) == []


def test_a_batch_scripts_variables_say_what_was_asked_for() -> None:
    said = {
        "SLURM_JOB_CPUS_PER_NODE": "64(x2),32",
        "SLURM_NTASKS_PER_NODE": "4",
        "SLURM_CPUS_PER_TASK": "16",
    }
    assert read_request(said) == Request(64, 4, 16)
    assert read_request({"SLURM_JOB_CPUS_PER_NODE": "2"}) == Request(2, 1, 1)


def test_processors_that_nobody_uses_are_offered() -> None:
    request = Request(cores=64, tasks=4, cores_per_task=8)
    cores, threads = settings_of_job(healthy("node1", "node2"), request)
    assert cores.what == "sbatch --cpus-per-task=16"
    assert threads.what == "export OMP_NUM_THREADS=16"


def test_threads_are_set_to_a_tasks_processors() -> None:
    found = healthy("node1", "node2")
    found.machines["node2"] = replace(machine(), threads="")
    (setting,) = settings_of_job(found, FITS)
    assert setting.what == "export OMP_NUM_THREADS=8"
    assert "(here: 8, not set)" in setting.why
    (setting,) = settings_of_machine(replace(machine(), threads=""))
    assert setting.what == "export OMP_NUM_THREADS=1"


def test_a_precision_that_all_nodes_have_is_set() -> None:
    found = healthy("node1", "node2")
    found.machines["node2"] = replace(machine(), precision="32-true", unit="")
    assert [one.what for one in settings_of_job(found, FITS)] == ["--precision 32-true"]


def test_the_interface_of_the_names_is_set_where_own_names_mislead() -> None:
    found = healthy("node1", "node2")
    found.places["node2"] = replace(found.places["node2"], own="127.0.1.1")
    assert [one.what for one in settings_of_job(found, FITS)] == ["export GLOO_SOCKET_IFNAME=eth0"]


def test_a_faster_interface_that_all_have_is_offered_to_gloo_and_nccl() -> None:
    found = healthy("node1", "node2")
    for number, name in enumerate(found.nodes, 1):
        addresses = found.places[name].addresses | {"hsn0": f"10.1.0.{number}"}
        # Equal on all nodes, as those of container engines: it leads nowhere.
        addresses["docker0"] = "172.17.0.1"
        rates = {"eth0": 10_000, "hsn0": 200_000, "docker0": 400_000}
        found.places[name] = replace(found.places[name], addresses=addresses, megabits=rates)
        found.machines[name] = replace(machine(), gpus=["A100"] * 4)
    gloo, nccl = settings_of_job(found, FITS)
    assert gloo.what == "export GLOO_SOCKET_IFNAME=hsn0"
    assert "hsn0 has 200 Gbit/s on all nodes" in gloo.why
    assert nccl.what == "export NCCL_SOCKET_IFNAME=hsn0"

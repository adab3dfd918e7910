"""What the answers mean: all judgements, in the order in which a user should mend things."""

from combo_lightning.doctor.examination import Examination
from combo_lightning.doctor.finding import Finding
from combo_lightning.doctor.verdict_folder import judge_folders
from combo_lightning.doctor.verdict_machine import judge_data, judge_machines
from combo_lightning.doctor.verdict_network import judge_clocks, judge_names, judge_sums


def judge(found: Examination) -> list[Finding]:
    """Judge all that nodes, or this machine alone, have answered.

    Args:
        found: The answers.
    """
    silent = [
        Finding(
            f"{name} gives no answer ({why}): see 'scontrol show node {name}', and leave it out "
            f"with sbatch --exclude={name}"
        )
        for name, why in found.silent.items()
    ]
    return [
        *silent,
        *judge_machines(found.machines),
        *judge_names(found),
        *judge_sums(found),
        *judge_folders(found),
        *judge_data(found.data),
        *judge_clocks(found),
    ]

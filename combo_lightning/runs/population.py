"""What a population of trainer groups leaves: the champion's checkpoint, and all models in one."""

import json
import logging
from pathlib import Path

from combo_lightning.ensemble import write_champion, write_ensemble
from combo_lightning.ltfb.conclusion import CHAMPION

logger = logging.getLogger(__name__)

CHAMPION_CHECKPOINT = "champion.ckpt"
ENSEMBLE_CHECKPOINT = "ensemble.ckpt"


def write_population(folder: Path) -> None:
    """Write ``champion.ckpt`` and ``ensemble.ckpt`` of the groups that ``champion.json`` names.

    Args:
        folder: The run folder of all groups.
    """
    named = json.loads((folder / CHAMPION).read_text(encoding="utf-8"))
    write_champion(folder / named["checkpoint"], folder / CHAMPION_CHECKPOINT)
    members = {f"group_{group}": folder / path for group, path in named["checkpoints"].items()}
    write_ensemble(list(members.values()), folder / ENSEMBLE_CHECKPOINT, list(members))
    logger.info("wrote %s and %s", folder / CHAMPION_CHECKPOINT, folder / ENSEMBLE_CHECKPOINT)

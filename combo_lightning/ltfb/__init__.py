"""LTFB: tournaments between trainer groups that train one kind of model side by side.

The room knows nothing of drugs: any LightningModule with ``tournament_scores`` takes part.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from combo_lightning.ltfb.callback import LTFB
    from combo_lightning.ltfb.groups import TrainerGroups, enter_groups
    from combo_lightning.ltfb.hyperparameters import Mutation, Range
    from combo_lightning.ltfb.state import Exchange
    from combo_lightning.ltfb.strategies import (
        RandomPairwise,
        RegularizedEvolution,
        Strategy,
        TreeAveraging,
        TruncationSelection,
    )
    from combo_lightning.ltfb.tournament import Rule
    from combo_lightning.ltfb.tuning import Tuning

__all__ = [
    "LTFB",
    "Exchange",
    "Mutation",
    "RandomPairwise",
    "Range",
    "RegularizedEvolution",
    "Rule",
    "Strategy",
    "TrainerGroups",
    "TreeAveraging",
    "TruncationSelection",
    "Tuning",
    "enter_groups",
]
_HOMES = {
    "callback": ("LTFB",),
    "groups": ("TrainerGroups", "enter_groups"),
    "hyperparameters": ("Mutation", "Range"),
    "state": ("Exchange",),
    "strategies": (
        "RandomPairwise",
        "RegularizedEvolution",
        "Strategy",
        "TreeAveraging",
        "TruncationSelection",
    ),
    "tournament": ("Rule",),
    "tuning": ("Tuning",),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: the record and the rules are read without torch.

    Raises:
        AttributeError: If there is no such name.
    """
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")

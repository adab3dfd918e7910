"""What the training rows hold: entities and cells of the drug x line table that can be learned."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from combo_lightning.data.dataset import ScreenDataset


def seen_in_training(
    dataset: ScreenDataset, train_rows: np.ndarray[Any, Any], *, with_table: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Tell which cell lines, drugs and (slot, drug, line) cells the training rows hold.

    Args:
        dataset: The data set.
        train_rows: Its training rows.
        with_table: Whether to tell the cells.

    Returns:
        Bool tensors ``[lines]``, ``[drugs]`` and ``[K, drugs, lines]`` (None if not asked for).
    """
    cell_N = dataset.responses.cell_N[train_rows]
    drug_NK = dataset.responses.drug_NK[train_rows]
    num_slots = drug_NK.shape[1]
    cell_seen = np.zeros(len(dataset.cells), dtype=bool)
    drug_seen = np.zeros(len(dataset.drugs), dtype=bool)
    cell_seen[cell_N] = True
    drug_seen[drug_NK[drug_NK >= 0]] = True
    seen = torch.from_numpy(cell_seen), torch.from_numpy(drug_seen)
    if not with_table:
        return *seen, None
    table = np.zeros((num_slots, len(dataset.drugs), len(dataset.cells)), dtype=bool)
    for k in range(num_slots):
        present = drug_NK[:, k] >= 0
        table[k, drug_NK[present, k], cell_N[present]] = True
    return *seen, torch.from_numpy(table)

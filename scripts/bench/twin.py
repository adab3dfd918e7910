"""The dense twin: the published network as one would write it, on rows of 8,579 float32.

It gathers its rows from the entity tables for each batch, without a DataLoader, and shares
the memory settings of the product: a comparison that is kind to it. Its optimizer is torch's Adam
as it is by default; a line of its own shows it with the fused one.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from combo_lightning.data.batches import Batch
from scripts.bench.screen import PosterScreen

WIDTH = 1000


def tower(inputs: int) -> nn.Sequential:
    """Build three fully connected layers of 1000 with ReLU and dropout."""
    layers: list[nn.Module] = []
    for size in (inputs, WIDTH, WIDTH):
        layers += [nn.Linear(size, WIDTH), nn.ReLU(), nn.Dropout(0.05)]
    return nn.Sequential(*layers)


class DenseTwin(nn.Module):
    """Cell line, drug 1, drug 2 side by side in a row; a shared drug encoder; a head.

    Args:
        screen: Whose widths it has, and whose device it is on.
    """

    def __init__(self, screen: PosterScreen) -> None:
        super().__init__()
        cell_features, drug_features = screen.cells[0].shape[1], screen.drugs[0].shape[1]
        self.parts = [cell_features, drug_features, drug_features]
        self.cell = tower(cell_features)
        self.drug = tower(drug_features)
        self.head = nn.Sequential(tower(3 * WIDTH), nn.Linear(WIDTH, 1))
        self.to(screen.device)

    def forward(self, x_BF: Tensor) -> Tensor:
        """Predict ``[B]`` from rows ``[B, 8579]``."""
        cell, drug_1, drug_2 = torch.split(x_BF, self.parts, dim=1)
        joined = torch.cat([self.cell(cell), self.drug(drug_1), self.drug(drug_2)], dim=1)
        response: Tensor = self.head(joined).squeeze(1)
        return response

    def flop(self, rows: int, *, training: bool) -> float:
        """Count the FLOP of the matrix products; the first layers need no input gradient."""
        features = self.parts[0] + 2 * self.parts[1]
        inner = (2 + 2 * 2 + 3 + 2) * WIDTH
        passes = (2, 3) if training else (1, 1)
        return 2.0 * rows * WIDTH * (passes[0] * features + passes[1] * inner)


def gather(screen: PosterScreen, batch: Batch) -> Tensor:
    """Lay a batch out as dense rows."""
    drugs = screen.drugs.features_EF
    return torch.cat(
        [
            screen.cells.features_EF[batch.cell_B],
            drugs[batch.drug_BK[:, 0]],
            drugs[batch.drug_BK[:, 1]],
        ],
        dim=1,
    )


class DenseRows(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """The same rows as an ordinary map-style data set."""

    def __init__(self, screen: PosterScreen) -> None:
        self.rows: Batch = screen.all_training_rows()
        self.screen = screen

    def __len__(self) -> int:
        return len(self.rows.cell_B)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        drugs = self.screen.drugs.features_EF
        first, second = self.rows.drug_BK[index].tolist()
        cell = self.screen.cells.features_EF[self.rows.cell_B[index]]
        return torch.cat([cell, drugs[first], drugs[second]]), self.rows.response_B[index]


def dense_batches(screen: PosterScreen, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Give dense batches without end, gathered per batch."""
    for batch in screen.batches(batch_size):
        yield gather(screen, batch), batch.response_B


def loaded_batches(screen: PosterScreen, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Give dense batches without end from an ordinary shuffling DataLoader."""
    loader = torch.utils.data.DataLoader(DenseRows(screen), batch_size, shuffle=True)
    while True:
        yield from loader

"""What is encoded when it is asked for equals what is encoded at once."""

from unittest.mock import patch

import pytest
import torch

from combo_lightning.model import EntityTable, cache
from combo_lightning.model.cache import EncodedCache
from tests.model.dense import draw_screen
from tests.model.test_combo import assert_equal, build_model


@pytest.mark.parametrize("at_once", [2, 100])
def test_rows_are_answered_as_from_whole_tables(at_once: int) -> None:
    screen = draw_screen(rows=40, cells=9, drugs=11, empty=True)
    model = build_model(screen, join="slots").eval()
    whole = model.encode(screen.cells, screen.drugs)
    encoded = []
    real = model.encode_drugs

    def counted(table: EntityTable) -> list[torch.Tensor]:
        encoded.append(len(table.id_E))
        return real(table)

    with (
        torch.no_grad(),
        patch.object(cache, "ENTITIES_AT_ONCE", at_once),
        patch.object(model, "encode_drugs", counted),
    ):
        found = EncodedCache(model, screen.cells, screen.drugs)
        for rows in (slice(0, 3), slice(0, 3), slice(2, 20), slice(0, 40)):
            cell_B, drug_BK = screen.cell_B[rows], screen.drug_BK[rows]
            part = found.covering(cell_B, drug_BK)
            assert_equal(
                model.respond(part, cell_B, drug_BK), model.respond(whole, cell_B, drug_BK)
            )
    # Each drug once, in pieces.
    used = len(screen.drug_BK[screen.drug_BK >= 0].unique())
    assert sum(encoded) == (11 if at_once == 100 else used)
    assert max(encoded) <= max(at_once, 2)


def test_rows_without_any_drug_come_first() -> None:
    screen = draw_screen(cells=5, drugs=6)
    model = build_model(screen).eval()
    with torch.no_grad(), patch.object(cache, "ENTITIES_AT_ONCE", 2):
        found = EncodedCache(model, screen.cells, screen.drugs)
        nothing = torch.full_like(screen.drug_BK, -1)
        for drug_BK in (nothing, screen.drug_BK):
            part = found.covering(screen.cell_B, drug_BK)
            whole = model.encode(screen.cells, screen.drugs)
            assert_equal(
                model.respond(part, screen.cell_B, drug_BK),
                model.respond(whole, screen.cell_B, drug_BK),
            )

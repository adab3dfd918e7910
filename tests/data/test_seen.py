import numpy as np

from combo_lightning.data.seen import seen_in_training
from combo_lightning.data.splits import SplitConfig, draw_split
from tests.data.screens import full_screen


def test_what_training_saw_is_marked_by_slot() -> None:
    dataset = full_screen()
    rows = draw_split(dataset, SplitConfig(), 1).train_rows
    cells, drugs, table = seen_in_training(dataset, rows, with_table=True)
    assert table is not None
    responses = dataset.responses
    expected = np.zeros(table.shape, dtype=bool)
    for row in rows:
        for slot, drug in enumerate(responses.drug_NK[row]):
            if drug >= 0:
                expected[slot, drug, responses.cell_N[row]] = True
    np.testing.assert_array_equal(table.numpy(), expected)
    assert cells.tolist() == expected.any(axis=(0, 1)).tolist()
    assert drugs.tolist() == expected.any(axis=(0, 2)).tolist()

"""How a trained network answers: in the order that training recorded; shared by test and predict.

Shapes: B rows, K drug slots.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from combo_lightning.data.catalog import Catalog
from combo_lightning.data.orders import RecordedOrders, permutations
from combo_lightning.model.combo import ComboModel, Encoded

# Rows answered at once: they fill the processor, and 8 MB of activations (width 1000) stay in its
# cache.
ROWS_AT_ONCE = 2048
SYMMETRIC = "model, symmetric (mean of all orders)"


def respond(
    network: ComboModel,
    encoded: Encoded,
    catalog: Catalog,
    cell_B: Tensor,
    drug_BK: Tensor,
    dose_BK: Tensor | None,
    study_B: Tensor | None = None,
) -> dict[str, Tensor]:
    """Predict rows from encoded entities.

    A network with join "slots" tells the order of the drugs apart: a combination is put into the
    order that training recorded (the mean, where it recorded several), an unmeasured one gets the
    mean over all orders. Either way f(A, B) = f(B, A).

    Args:
        network: The network, in eval mode.
        encoded: All entities that the rows point to.
        catalog: What the model knows of the data.
        cell_B: Cell line of each row.
        drug_BK: Drugs of each row; -1: empty slot; beyond the known ones: new drugs.
        dose_BK: Standardised doses, or None.
        study_B: Study of each row; -1: unknown. None: so for all.

    Returns:
        Standardised responses ``[B]``: "model", and with join "slots" also the mean over all
        orders under `SYMMETRIC`.
    """
    if network.config.join != "slots":
        return {"model": network.respond(encoded, cell_B, drug_BK, dose_BK, study_B=study_B)}
    orders_BP = network.respond_in_orders(
        encoded, cell_B, drug_BK, dose_BK, permutations(catalog.num_slots), study_B
    )
    drugs = drug_BK.cpu().numpy()
    never = RecordedOrders.from_rows(drugs[:0], len(catalog.drugs.ids))
    result = {}
    for name, orders in (("model", catalog.orders), (SYMMETRIC, never)):
        weight_BP = torch.from_numpy(orders.weights(drugs)).to(orders_BP)
        result[name] = (orders_BP * weight_BP).sum(dim=1)
    return result


def respond_rows(
    network: ComboModel,
    encoded: Encoded,
    catalog: Catalog,
    cell_B: npt.NDArray[np.int64],
    drug_BK: npt.NDArray[np.int64],
    dose_BK: npt.NDArray[np.float32] | None,
    study_B: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.float64]:
    """Predict any number of rows, `ROWS_AT_ONCE` at a time; arguments as in `respond`.

    Returns:
        Responses ``[B]`` in their own unit, each in the scale of its study.

    Raises:
        IndexError: If a row points beyond the entities.
    """
    ends = ((cell_B, 0, len(encoded.cell_id_E)), (drug_BK, -1, len(encoded.drug_id_E) - 1))
    for index, least, end in ends:
        if index.size and (index.min() < least or index.max() >= end):
            raise IndexError(f"an index lies outside {least}..{end - 1}")
    cell, drug = torch.from_numpy(cell_B), torch.from_numpy(drug_BK)
    dose = None if dose_BK is None else torch.from_numpy(dose_BK)
    study = None if study_B is None else torch.from_numpy(study_B)
    answer_B = np.empty(len(cell), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(cell), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            part = None if dose is None else dose[rows]
            own = None if study is None else study[rows]
            found = respond(network, encoded, catalog, cell[rows], drug[rows], part, own)
            answer_B[rows] = found["model"].numpy()
    return catalog.in_unit(answer_B, study_B)

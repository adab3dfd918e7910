"""How a trained network answers: in the order that training recorded; shared by test and predict.

Shapes: B rows, K drug slots.
"""

import torch
from torch import Tensor

from combo_lightning.data.catalog import Catalog
from combo_lightning.data.orders import RecordedOrders, permutations
from combo_lightning.model.combo import ComboModel, Encoded

SYMMETRIC = "model, symmetric (mean of all orders)"


def respond(
    network: ComboModel,
    encoded: Encoded,
    catalog: Catalog,
    cell_B: Tensor,
    drug_BK: Tensor,
    dose_BK: Tensor | None,
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

    Returns:
        Standardised responses ``[B]``: "model", and with join "slots" also the mean over all
        orders under `SYMMETRIC`.
    """
    if network.config.join != "slots":
        return {"model": network.respond(encoded, cell_B, drug_BK, dose_BK)}
    orders_BP = network.respond_in_orders(
        encoded, cell_B, drug_BK, dose_BK, permutations(catalog.num_slots)
    )
    drugs = drug_BK.cpu().numpy()
    never = RecordedOrders.from_rows(drugs[:0], len(catalog.drugs.ids))
    result = {}
    for name, orders in (("model", catalog.orders), (SYMMETRIC, never)):
        weight_BP = torch.from_numpy(orders.weights(drugs)).to(orders_BP)
        result[name] = (orders_BP * weight_BP).sum(dim=1)
    return result

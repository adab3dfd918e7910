"""All public formats of screens that ``prepare screen`` reads, the most particular first."""

from combo_lightning.data.sources.ctrp_response import CtrpFormat
from combo_lightning.data.sources.dose_matrix import DoseMatrixFormat
from combo_lightning.data.sources.drugcomb import DrugCombFormat
from combo_lightning.data.sources.gdsc_response import GDSC, GDSC_WEB
from combo_lightning.data.sources.nci60 import NCI60_DOSE_RESPONSE, NCI60_ENDPOINTS, NCI60_OLD
from combo_lightning.data.sources.oneil import OneilFormat
from combo_lightning.data.sources.prism_matrix import PrismMatrix
from combo_lightning.data.sources.prism_response import PRISM
from combo_lightning.data.sources.screen import ScreenFormat
from combo_lightning.data.sources.well_units import WellMeasure

FORMATS: tuple[ScreenFormat, ...] = (
    GDSC,
    GDSC_WEB,
    NCI60_DOSE_RESPONSE,
    NCI60_ENDPOINTS,
    NCI60_OLD,
    PRISM,
    PrismMatrix(),
    CtrpFormat(),
    DrugCombFormat(),
    OneilFormat(),
    DoseMatrixFormat(),
)


def screen_formats(wells: WellMeasure | None = None) -> tuple[ScreenFormat, ...]:
    """Give the formats that a file may be of.

    Args:
        wells: What its wells state, which only dose matrices need; None: not said, any format.
    """
    return FORMATS if wells is None else (DoseMatrixFormat(wells),)

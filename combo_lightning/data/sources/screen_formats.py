"""All public formats of screens that ``prepare screen`` reads, the most particular first."""

from combo_lightning.data.sources.ctrp_response import CtrpFormat
from combo_lightning.data.sources.gdsc_response import GDSC, GDSC_WEB
from combo_lightning.data.sources.nci60 import NCI60_DOSE_RESPONSE, NCI60_ENDPOINTS, NCI60_OLD
from combo_lightning.data.sources.prism_matrix import PrismMatrix
from combo_lightning.data.sources.prism_response import PRISM
from combo_lightning.data.sources.screen import ScreenFormat

FORMATS: tuple[ScreenFormat, ...] = (
    GDSC,
    GDSC_WEB,
    NCI60_DOSE_RESPONSE,
    NCI60_ENDPOINTS,
    NCI60_OLD,
    PRISM,
    PrismMatrix(),
    CtrpFormat(),
)

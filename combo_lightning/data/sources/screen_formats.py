"""All public formats of screens that ``prepare screen`` reads, the most particular first."""

from combo_lightning.data.sources.dose_matrix import DoseMatrixFormat
from combo_lightning.data.sources.drugcomb import DrugCombFormat
from combo_lightning.data.sources.gdsc_response import GDSC
from combo_lightning.data.sources.oneil import OneilFormat
from combo_lightning.data.sources.screen import ScreenFormat
from combo_lightning.data.sources.well_units import WellMeasure


def screen_formats(wells: WellMeasure | None = None) -> tuple[ScreenFormat, ...]:
    """Give all formats.

    Args:
        wells: What dose matrices state; None: told by the file.
    """
    return (GDSC, DrugCombFormat(), OneilFormat(), DoseMatrixFormat(wells))


FORMATS = screen_formats()

"""All public formats of screens that ``prepare screen`` reads, the most particular first."""

from combo_lightning.data.sources.gdsc_response import GDSC
from combo_lightning.data.sources.screen import ScreenFormat

FORMATS: tuple[ScreenFormat, ...] = (GDSC,)

"""Several processes on one model: data parallel, sharded, tensor parallel, and mixtures.

The network is written for one device; this room spreads it. `DataParallel` and `MeshParallel` are
Lightning strategies (``configs/ddp.yaml`` and its neighbours); `Layout` tells the task which rows
and entities are this process's, and puts together what each one made.
"""

from combo_lightning.parallel.layout import ALONE, Layout
from combo_lightning.parallel.strategies import DataParallel, MeshParallel

__all__ = ["ALONE", "DataParallel", "Layout", "MeshParallel"]

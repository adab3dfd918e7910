"""``python -m scripts.bench.wide_inputs``: 20,000 features a line, in one process and in two.

The cell encoder's first layer alone has 20 million weights. Prints the peak memory of rank 0 up to
the end of the steps, and with the checkpoints written after them, and the time of a step.
"""

import argparse
import json
import sys
from pathlib import Path

from scripts.bench import product
from scripts.bench.large_tables import Tables, write

TABLES = Tables(drugs=104, lines=60, features=500, line_features=20_000)
LAYOUTS = {"one process": None, "FSDP2, 2 ranks": "fsdp", "tensor parallel, 2": "tensor_parallel"}


def main() -> int:
    """Make the data set if it is not there, run, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/wide"))
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    data = arguments.folder / "data"
    if not data.exists():
        write(data, 100_000, TABLES)
    figures = {}
    for number, (name, overlay) in enumerate(LAYOUTS.items()):
        more = () if overlay is None else ("--config", f"configs/{overlay}.yaml")
        clock = product.fit(
            data,
            arguments.folder / f"run-{number}",
            *more,
            *("--model.network.dropout_mode", "per_entity", "--trainer.limit_val_batches", "1"),
            *("--trainer.limit_train_batches", str(arguments.steps)),
        )
        figures[name] = {
            "peak_mb_of_steps": clock["steps_peak_mb"],
            "peak_mb": clock["peak_mb"],
            "ms_per_step": 1e3
            * (clock["steps_end"] - clock["first_step"])
            / max(1, clock["steps"] - 1),
        }
    (arguments.folder / "wide_inputs.json").write_text(json.dumps(figures, indent=2) + "\n")
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

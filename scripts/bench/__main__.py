"""``python -m scripts.bench``: what the product reaches on this machine, beside a dense twin."""

import argparse
import logging
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from combo_lightning.process import keep_freed_memory, wait_passively

# The twin's products must run at this share of the GEMM rate: else something else has the
# processor, and the ratios would flatter us.
LEAST_SHARE = 0.7


def main() -> int:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer steps; under 3 minutes")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--data", type=Path, default=Path("runs/bench/poster"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench/bench.json"))
    arguments = parser.parse_args()
    wait_passively()
    keep_freed_memory()
    logging.disable(logging.INFO)
    figures = measure(arguments)
    from scripts.bench.report import text, write_json

    write_json(arguments.out, figures)
    sys.stdout.write(text(figures) + f"\n\nwrote {arguments.out}\n")
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure everything.

    Raises:
        SystemExit: If the twin's products are too slow for a fair comparison.
    """
    import torch

    from scripts.bench import machine, product, steps
    from scripts.bench.screen import PosterScreen

    quick, device = arguments.quick, arguments.device
    screen = PosterScreen(arguments.data, device)
    fp32 = machine.gemm_rate(torch.float32, device)
    twin = max(steps.twin_gemm_rate(screen) for _ in range(2))
    fp32 = max(fp32, machine.gemm_rate(torch.float32, device))
    if twin < LEAST_SHARE * fp32:
        raise SystemExit(
            f"the dense twin's products reach {twin / 1e9:.0f} of {fp32 / 1e9:.0f} GFLOP/s "
            f"({twin / fp32:.0%}, at least {LEAST_SHARE:.0%} is needed): something else uses the "
            "processor; try again on an idle machine"
        )
    bf16 = machine.gemm_rate(torch.bfloat16, device)
    with_bf16 = bf16 > fp32
    rates = {False: fp32, True: bf16}
    repeats = 3 if quick else 5
    in_process: dict[str, list[dict[str, Any]]] = {}
    sizes = {256: (4, 100), 1024: (1, 30), 4096: (1, 10)}
    for batch_size, (few, many) in sizes.items():
        lines = steps.training_lines(
            screen, batch_size, few if quick else many, repeats, with_bf16=with_bf16
        )
        in_process[f"Training step, batch {batch_size:,}"] = [
            line.plain(rates[line.bf16], lines[0]) for line in lines
        ]
    rows = 8192 if quick else 61_125
    lines = steps.evaluation_lines(screen, rows, repeats, with_bf16=with_bf16)
    in_process["Evaluation"] = [line.plain(rates[line.bf16], lines[0]) for line in lines]
    figures = {
        "machine": machine.describe(),
        "gemm_gflops": {"fp32": fp32 / 1e9, "bf16": bf16 / 1e9, "twin": twin / 1e9},
        "r": bf16 / fp32,
        "in_process": in_process,
        "commands": [],
    }
    if device != "cpu":
        return figures
    with tempfile.TemporaryDirectory(prefix="combo_bench_") as name:
        folder = Path(name)
        commands = []
        limit = ["--trainer.limit_train_batches", "100"] if quick else []
        rows = 100 * 256 if quick else screen.training_rows
        kinds = {"per_sample": "32-true", "per_entity": "auto"}
        few = 5 if quick else 20
        before = steps.twin_seconds_per_row(screen, few)
        for mode, precision in kinds.items():
            options = ["--model.network.dropout_mode", mode, "--precision", precision, *limit]
            clock = product.fit(screen.path, folder / mode, *options)
            # The machine's speed drifts: the twin runs before and after each fit.
            after = steps.twin_seconds_per_row(screen, few)
            twin_row, before = (before + after) / 2, after
            title = f"fit, 1 epoch of {rows:,} rows, {mode}, {precision}"
            commands.append(product.fit_line(title, clock, rows, twin_row))
        if not quick:
            turns = [_fit_turn(screen, folder / f"turn-{turn}") for turn in range(repeats)]
            commands.append(
                {
                    "line": "fit, turns of 300 steps between the twin's, per_entity, auto",
                    "times_twin": median(turns),
                    "least": min(turns),
                    "most": max(turns),
                }
            )
        commands.append(
            product.predict_line(
                screen.path, folder / "per_entity", folder, 20_000 if quick else 300_000
            )
        )
        commands.append(product.screen_line(folder / "per_entity", folder, bf16, few=quick))
        commands.append(product.import_line(folder))
        commands += product.start_lines(folder)
        figures["commands"] = commands
    return figures


def _fit_turn(screen: Any, folder: Path) -> float:
    """Compare 300 steps of `fit` with the twin's steps just before and after."""
    from scripts.bench import product, steps

    before = steps.twin_seconds_per_row(screen, 15)
    options = ("--trainer.limit_train_batches", "300", "--trainer.limit_val_batches", "1")
    clock = product.fit(
        screen.path,
        folder,
        *("--model.network.dropout_mode", "per_entity", "--precision", "auto", *options),
    )
    after = steps.twin_seconds_per_row(screen, 15)
    ours = (clock["steps_end"] - clock["train_start"]) / clock["steps"] / 256
    return float((before + after) / 2 / ours)


if __name__ == "__main__":
    sys.exit(main())

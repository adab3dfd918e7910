"""``combo-lightning simulate``: write a screen with a known truth."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from combo_lightning.cli.main import invocation

if TYPE_CHECKING:  # heavy imports
    from combo_lightning.data.simulator import SimulationConfig


def run(
    *,
    out: Path,
    preset: Literal["small", "demo", "poster"] = "demo",
    response: Literal["growth", "min_growth", "combo_score", "ic50", "zscore"] | None = None,
    cells: int | None = None,
    drugs: int | None = None,
    combinations: int | None = None,
    slots: int | None = None,
    single_share: float | None = None,
    ceiling_r2: float | None = None,
    seed: int | None = None,
    studies: int | None = None,
    raw: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a simulated screen.

    Args:
        out: The data set to make, a directory.
        preset: Sizes to start from: "small" (seconds to train), "demo", "poster" (the reference
            data set's 305,626 rows, 921 cell and 3,829 drug features).
        response: What is measured; ic50 and zscore of one drug (--slots 1).
        cells: Cell lines.
        drugs: Drugs.
        combinations: Combinations of drugs in a line; none: all.
        slots: Drugs of a combination.
        single_share: Share of the combinations that have one drug only.
        ceiling_r2: R2 that the true function reaches on the measurements: the noise's size.
        seed: Seed of everything.
        studies: Write so many data sets of one truth into the folder `out`, as several studies
            would measure it: each in some of the lines and drugs, in its own scale.
        raw: Write raw files instead: dose-level wells in the 29 columns of NCI's
            ComboDrugGrowth (all of them: the response does not matter), drugs, cell lines,
            expression; with --response ic50 or zscore curves, expression and drugs in GDSC's
            layout.
        overwrite: Replace what is there.

    Raises:
        InputError: If options contradict each other.
    """
    from combo_lightning.data.simulator import (
        SINGLE_DRUG,
        preset_config,
        simulate,
        write_simulation,
    )
    from combo_lightning.errors import InputError

    if raw and studies is not None:
        raise InputError("--raw and --studies do not go together; leave one of them out")
    config = preset_config(
        preset,
        response=response,
        cells=cells,
        drugs=drugs,
        combinations=combinations,
        num_slots=slots,
        single_share=single_share,
        ceiling_r2=ceiling_r2,
        seed=seed,
    )
    if raw and config.response in SINGLE_DRUG:
        from combo_lightning.data.simulator_gdsc import CURVES, EXPRESSION, write_gdsc

        reached = write_gdsc(replace(config, response="ic50"), out, overwrite=overwrite)
        shown = ", ".join(f"{score:.3f} on {kind}" for kind, score in reached.items())
        sys.stdout.write(
            f"wrote {out}; the true function reaches R2 {shown}\n"
            f"next: combo-lightning prepare screen --responses {out}/{CURVES} "
            f"--response {config.response} --drugs {out}/drugs.csv "
            f"--expression {out}/{EXPRESSION} --out NAME\n"
        )
        return
    if raw:
        _write_raw(config, out, overwrite=overwrite)
        return
    made_by = {"command": invocation()}
    if studies is not None:
        from combo_lightning.data.simulator_studies import write_studies

        made = write_studies(config, studies, out, made_by, overwrite=overwrite)
        names = " ".join(str(path) for path in made)
        sys.stdout.write(f"wrote {names}\nnext: combo-lightning merge {names} --out NAME\n")
        return
    write_simulation(simulate(config), out, made_by, overwrite=overwrite)
    sys.stdout.write(
        f"wrote {out}; the true function reaches R2 {config.ceiling_r2} on it\n"
        f"next: combo-lightning info {out}\n"
    )


def _write_raw(config: "SimulationConfig", out: Path, *, overwrite: bool) -> None:
    from combo_lightning.data.simulator_raw import WELLS, write_raw

    rows = write_raw(config, out, overwrite=overwrite)
    sys.stdout.write(
        f"wrote {out}: {rows:,} wells\n"
        f"next: combo-lightning prepare almanac-growth --growth {out}/{WELLS} "
        f"--drugs {out}/drugs.csv --cells {out}/cells.csv "
        f"--expression {out}/expression.parquet --out NAME\n"
    )

"""``combo-lightning info PATH``: describe a data set."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from combo_lightning.data.describe import DatasetFacts

POSITIONAL = True
_BAR = 40


def run(path: Path) -> None:
    """Describe a data set.

    Args:
        path: The data set's directory.
    """
    from rich.console import Console

    from combo_lightning.data.dataset import read_dataset
    from combo_lightning.data.describe import describe

    show(describe(read_dataset(path)), Console())


def show(facts: "DatasetFacts", console: "object") -> None:
    """Print the facts.

    Args:
        facts: What to print.
        console: A `rich.console.Console`.
    """
    from rich.console import Console
    from rich.table import Table

    assert isinstance(console, Console)
    per_row = ", ".join(f"{n:,} of {k}" for k, n in facts.drugs_per_row.items())
    head = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    head.add_row("rows", f"{facts.rows:,} (drugs in a row: {per_row})")
    head.add_row("cell lines", f"{facts.cells[0]:,}, {facts.cells[1]:,} of them measured")
    head.add_row("drugs", f"{facts.drugs[0]:,}, {facts.drugs[1]:,} of them measured")
    head.add_row("response", f"{facts.response[0]}, in {facts.response[1]}")
    if facts.doses:
        count, low, high = facts.doses
        head.add_row("doses", f"{count:,} distinct, log10 molar {low:.2f} to {high:.2f}")
    correlation = facts.replicate_correlation
    said = "" if math.isnan(correlation) else f", correlation {correlation:.2f}"
    head.add_row("replicates", f"{facts.replicates:,} pairs{said}")
    if facts.weighted:
        head.add_row("weights", "rows have weights of their own")
    if facts.studies:
        head.add_row("studies", ", ".join(facts.studies))
    head.add_row("fingerprint", facts.fingerprint[:16])
    console.print(head, highlight=False)
    blocks = Table(title="Features", title_justify="left")
    for name in ("of", "block", "features", "unit", "entities without", "missing else"):
        blocks.add_column(
            name, justify="right" if name in ("features", "missing else") else "left"
        )
    for block in facts.blocks:
        blocks.add_row(
            block.entity,
            block.name,
            f"{block.features:,}",
            block.unit,
            str(block.entities_without),
            f"{block.missing_share:.2%}",
        )
    console.print(blocks)
    _show_distribution(facts, console)
    if facts.sources:
        sources = Table(title="Sources", title_justify="left")
        for name in ("file", "bytes", "SHA-256"):
            sources.add_column(name, overflow="fold")
        for source in facts.sources:
            sources.add_row(str(source["path"]), f"{source['bytes']:,}", str(source["sha256"]))
        console.print(sources)
    for reason, count in facts.made_by.get("dropped", {}).items():
        console.print(f"dropped: {count:,} {reason}", highlight=False)
    if "noise_ceiling_r2" in facts.made_by:
        ceiling = facts.made_by["noise_ceiling_r2"]
        console.print(f"simulated: the true function reaches R2 {ceiling}", highlight=False)


def _show_distribution(facts: "DatasetFacts", console: "object") -> None:
    from rich.console import Console

    from combo_lightning.data.describe import QUANTILES

    assert isinstance(console, Console)
    console.print(
        f"\n{facts.response[0]}: mean {facts.mean:.4g}, standard deviation {facts.sd:.4g}",
        highlight=False,
    )
    quantiles = zip(QUANTILES, facts.quantiles, strict=True)
    console.print("  ".join(f"{q} %: {value:.4g}" for q, value in quantiles), highlight=False)
    counts, edges = facts.histogram
    most = max(counts)
    for count, edge in zip(counts, edges, strict=False):
        console.print(f"{edge:>10.4g} {'█' * round(_BAR * count / most)}", highlight=False)

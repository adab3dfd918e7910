"""``combo-lightning info PATH``: describe a data set."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from combo_lightning.data.describe import DatasetFacts

POSITIONAL = True
_BAR = 40
# A screen may name a study a plate.
_MOST_STUDIES = 10


def run(path: Path) -> None:
    """Describe a data set.

    Args:
        path: The data set's directory.
    """
    from rich.console import Console

    from combo_lightning.data.dataset import read_dataset
    from combo_lightning.data.describe import describe

    show(describe(read_dataset(path)), Console())


def show(facts: "DatasetFacts", console: "Console") -> None:
    """Print the facts.

    Args:
        facts: What to print.
        console: Where to.
    """
    _show_counts(facts, console)
    if facts.studies:
        _show_studies(facts, console)
    _show_blocks(facts, console)
    _show_distribution(facts, console)
    _show_origin(facts, console)


def _show_counts(facts: "DatasetFacts", console: "Console") -> None:
    from rich.table import Table

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
        names = [study.name or "(none)" for study in facts.studies]
        shown = ", ".join(names[:_MOST_STUDIES])
        more = " ..." if len(facts.studies) > _MOST_STUDIES else ""
        head.add_row("studies", f"{len(facts.studies):,}: {shown}{more}")
    head.add_row("fingerprint", facts.fingerprint[:16])
    console.print(head, highlight=False)


def _show_studies(facts: "DatasetFacts", console: "Console") -> None:
    """Show what each study measured, and in brackets what of it others did too."""
    from rich.table import Table

    table = Table(title="Studies (shared with others)", title_justify="left")
    for name in ("study", "rows", "mean", "sd", "lines", "drugs", "combinations in a line"):
        table.add_column(name, justify="left" if name == "study" else "right")
    for study in facts.studies[:_MOST_STUDIES]:
        pairs = (study.cells, study.drugs, study.combinations)
        table.add_row(
            study.name or "(none)",
            f"{study.rows:,}",
            f"{study.mean:.4g}",
            f"{study.sd:.4g}",
            *(f"{own:,} ({shared:,})" for own, shared in pairs),
        )
    console.print(table)


def _show_blocks(facts: "DatasetFacts", console: "Console") -> None:
    from rich.table import Table

    blocks = Table(title="Features", title_justify="left")
    for name in ("of", "block", "features", "unit", "entities without", "missing else"):
        number = name in ("features", "entities without", "missing else")
        blocks.add_column(name, justify="right" if number else "left")
    for block in facts.blocks:
        blocks.add_row(
            block.entity,
            block.name,
            f"{block.features:,}",
            block.unit,
            str(block.entities_without),
            f"{block.missing_share:.2%}",
        )
    if facts.blocks:
        console.print(blocks)
    else:
        console.print("no features: only identities can be learned", highlight=False)


def _show_distribution(facts: "DatasetFacts", console: "Console") -> None:
    from combo_lightning.data.describe import QUANTILES

    console.print(
        f"\n{facts.response[0]} in {facts.response[1]}: mean {facts.mean:.4g}, standard deviation "
        f"{facts.sd:.4g}",
        highlight=False,
    )
    quantiles = zip(QUANTILES, facts.quantiles, strict=True)
    console.print("  ".join(f"{q} %: {value:.4g}" for q, value in quantiles), highlight=False)
    counts, edges = facts.histogram
    most = max(counts)
    for count, edge in zip(counts, edges, strict=False):
        console.print(f"{edge:>10.4g} {'█' * round(_BAR * count / most)}", highlight=False)


def _show_origin(facts: "DatasetFacts", console: "Console") -> None:
    """Say where the data set comes from, in lines that can be copied."""

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say("")
    for source in facts.sources:
        say(f"source: {source['path']}, {source['bytes']:,} bytes, SHA-256 {source['sha256']}")
    command = facts.made_by.get("command")
    if command:
        say("made by: " + " ".join(["combo-lightning", *map(str, command)]))
    for reason, count in facts.made_by.get("dropped", {}).items():
        if count:
            say(f"dropped: {count:,} {reason}")
    for note, count in facts.made_by.get("notes", {}).items():
        say(f"note: {count:,} {note}")
    for remark in facts.made_by.get("remarks", []):
        say(f"note: {remark}")
    for join in facts.made_by.get("joins", []):
        missed = list(join["unmatched"])
        more = f", not {', '.join(missed[:5])}" + (" ..." if len(missed) > 5 else "")
        total = join["matched"] + len(missed)
        say(f"{join['what']}: {join['matched']} of {total} matched" + (more if missed else ""))
    if "noise_ceiling_r2" in facts.made_by:
        say(f"simulated: the true function reaches R2 {facts.made_by['noise_ceiling_r2']}")

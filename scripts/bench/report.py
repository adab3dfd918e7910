"""The figures as a text table and as JSON."""

import json
from pathlib import Path
from typing import Any


def write_json(path: Path, figures: dict[str, Any]) -> None:
    """Write all figures; a file aside is renamed when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    aside.replace(path)


def text(figures: dict[str, Any]) -> str:
    """Lay the figures out for a terminal or a Markdown page."""
    machine, rates = figures["machine"], figures["gemm_gflops"]
    load = ", ".join(f"{value:.2f}" for value in machine["load"])
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    lines = [
        f"{machine['date']}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['threads']} threads, waiting {machine['wait_policy']}, load {load}; {versions}",
        f"flags: {' '.join(machine['flags'])}; GEMM 2048^3: fp32 {rates['fp32']:.0f}, "
        f"bf16 {rates['bf16']:.0f} GFLOP/s, r = {figures['r']:.2f}; "
        f"the twin's own products: {rates['twin']:.0f} GFLOP/s fp32",
    ]
    for title, rows in figures["in_process"].items():
        lines += [
            "",
            title,
            "| | min | median | max ms | rows/s | MFLOP/row | of GEMM rate | x twin |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['line']} | {row['ms']['min']:.1f} | {row['ms']['median']:.1f} "
            f"| {row['ms']['max']:.1f} | {row['rows_per_second']:,.0f} "
            f"| {row['mflop_per_row']:.1f} | {row['share_of_gemm_rate']:.0%} "
            f"| {row['times_twin']:.2f} |"
            for row in rows
        ]
    lines += ["", "Commands, one process each"]
    for row in figures["commands"]:
        values = {name: value for name, value in row.items() if name != "line"}
        shown = ", ".join(f"{name} {_short(value)}" for name, value in values.items())
        lines.append(f"- {row['line']}: {shown}")
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

"""The report on a run's tournaments: ``RUN/report/`` with a page, a table and two pictures."""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from combo_lightning.ltfb.lineage import (
    Ancestor,
    ancestries,
    changes,
    distinct_ancestors,
    last_records,
    round_numbers,
)
from combo_lightning.ltfb.plan import Run
from combo_lightning.ltfb.record import RoundRecord
from combo_lightning.report.ltfb_facts import Facts, find_facts, kept_score, leading_group
from combo_lightning.report.ltfb_figures import draw_lineage, draw_scores

FOLDER = "report"
LINEAGE = "lineage.png"
SCORES = "scores.png"
TABLE = "rounds.csv"
PAGE = "report.md"
# Rows of the page's tables; the rest is in rounds.csv.
_SHOWN = 20


def write_report(run: Run) -> str:
    """Write ``report.md``, ``lineage.png``, ``scores.png`` and ``rounds.csv`` to ``RUN/report/``.

    Args:
        run: The run, finished or not.

    Returns:
        The summary, some lines of text.
    """
    folder = run.folder / FOLDER
    facts, leader = find_facts(run), leading_group(run)
    draw_lineage(run, leader, folder / LINEAGE)
    draw_scores(run, folder / SCORES)
    _write(folder / TABLE, rounds_csv(run))
    lines = summary(run, facts, leader)
    _write(folder / PAGE, page(run, facts, leader))
    return "\n".join(lines) + "\n"


def summary(run: Run, facts: Facts, leader: int | None) -> list[str]:
    """Say in a few lines who won, how models moved and what it cost."""
    numbers = round_numbers(run.rounds)
    took_part = len(last_records(run.rounds))
    lines = [
        f"{run.plan.strategy['name']}, {run.plan.num_groups} trainer groups, "
        f"{_count(len(numbers), 'round')}, {_count(len(run.rounds), 'record')}",
        _winner(run, leader),
    ]
    if not numbers:
        return [*lines, "no round is recorded yet"]
    distinct = distinct_ancestors(run.rounds, run.plan.num_groups)[numbers[-1]]
    lines.append(f"ancestors: {distinct} of {run.plan.num_groups} first models live on")
    if facts.averaged:
        lines.append(f"averages: {facts.averaged} taken")
    else:
        rate = facts.adopted / facts.meetings if facts.meetings else math.nan
        lines.append(
            f"adoptions: {facts.adopted} in {_count(facts.meetings, 'meeting')} "
            f"({_percent(rate)}), {len(facts.failed)} failed"
        )
    lines.append(f"sent and received by the groups' first processes: {_size(facts.bytes)}")
    cost = facts.cost
    lines.append(
        f"cost: {cost.round_seconds:.1f} s of {cost.whole_seconds:.1f} s in rounds, "
        f"{_percent(cost.share)} of the time of {_count(took_part, 'group')}"
    )
    if facts.unmet:
        unmet = ", ".join(f"{count} {reason}" for reason, count in sorted(facts.unmet.items()))
        lines.append(f"met nobody: {unmet}")
    for group, last in facts.gone.items():
        seen = "has no record" if last is None else f"ends with round {last}"
        lines.append(f"group {group} {seen}; the last round is {numbers[-1]}")
    return lines


def _winner(run: Run, leader: int | None) -> str:
    if leader is None:
        return "not ended; no group has a score yet"
    if run.champion is not None:
        own = run.champion.scores.get(leader, {})
        where = f" at step {run.champion.step}: {run.champion.checkpoint}"
        return f"champion: group {leader}{_scores(own)}{where}"
    record = last_records(run.rounds)[leader]
    own = {metric: kept_score(record, metric) for metric in run.plan.metrics}
    return f"not ended; best so far: group {leader}{_scores(own)} in round {record.round}"


def page(run: Run, facts: Facts, leader: int | None) -> str:
    """Write the report as Markdown."""
    lines = [f"# Tournaments of {run.folder.resolve().name}", ""]
    lines += [f"- {line}" for line in summary(run, facts, leader)]
    lines += ["", f"![where the models come from]({LINEAGE})", "", f"![scores]({SCORES})", ""]
    if leader is not None and run.rounds:
        lines += ["## The champion's path", "", *_path_table(changes(run.rounds, leader)), ""]
    if run.rounds:
        lines += ["## Ancestors that live on", "", *_ancestor_table(run), ""]
        lines += ["## Cost", "", *_cost_table(facts), ""]
    if facts.failed:
        lines += ["## Exchanges that failed", "", *_failure_table(facts.failed), ""]
    return "\n".join(lines)


def _path_table(path: list[Ancestor]) -> list[str]:
    names = sorted({name for ancestor in path for name in ancestor.hyperparameters})
    rows = []
    for ancestor in path:
        what = {
            "start": "first model",
            "adopted": f"from group {ancestor.came_from}",
            "averaged": f"mean with groups {_groups(ancestor.record)}",
            "mutated": "new hyperparameters",
        }[ancestor.change]
        values = [_figure(ancestor.hyperparameters.get(name, math.nan)) for name in names]
        if ancestor.record is not None:
            values = [
                f"{value} (was {_figure(ancestor.record.mutated[name][0])})"
                if name in ancestor.record.mutated
                else value
                for name, value in zip(names, values, strict=True)
            ]
        number = "start" if ancestor.record is None else str(ancestor.round)
        step = "" if ancestor.record is None else str(ancestor.record.step)
        rows.append([number, step, str(ancestor.group), what, *values])
    return _table(["round", "step", "group", "what came", *names], rows)


def _groups(record: RoundRecord | None) -> str:
    return "" if record is None else ", ".join(str(g) for g in record.met if g != record.group)


def _ancestor_table(run: Run) -> list[str]:
    counts = distinct_ancestors(run.rounds, run.plan.num_groups)
    after = ancestries(run.rounds, run.plan.num_groups)
    rows = []
    previous = None
    for number, count in counts.items():
        present = [g for g in after[number] if (number, g) in run.rounds]
        alive = sorted({ancestor for group in present for ancestor in after[number][group]})
        if alive != previous:
            rows.append([str(number), str(len(present)), str(count), _shorten(alive)])
        previous = alive
    return _table(["from round", "groups", "ancestors", "which"], rows)


def _cost_table(facts: Facts) -> list[str]:
    rows = [
        [
            str(group),
            f"{cost.round_seconds:.2f}",
            f"{cost.whole_seconds:.1f}",
            _percent(cost.share),
        ]
        for group, cost in facts.costs.items()
    ]
    return _table(["group", "seconds in rounds", "seconds in all", "share"], rows)


def _failure_table(failed: list[RoundRecord]) -> list[str]:
    rows = [[str(r.round), str(r.group), str(r.source), r.reason] for r in failed]
    return _table(["round", "group", "wanted the model of", "reason"], rows)


def rounds_csv(run: Run) -> str:
    """Write the record as one flat table, a row a round and group."""
    records = list(run.rounds.values())
    metrics = sorted({m for r in records for scores in r.scores.values() for m in scores})
    tuned = sorted({name for r in records for name in r.hyperparameters})
    phases = sorted({name for r in records for name in r.seconds})
    after = ancestries(run.rounds, run.plan.num_groups)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["round", "group", "step", "time", "living", "met", "source", "reason", "margin"]
        + ["adopted", "failed", "age", "bytes", "ancestors", "mutated"]
        + [f"score_{m}" for m in metrics]
        + [f"source_score_{m}" for m in metrics]
        + tuned
        + [f"seconds_{phase}" for phase in phases]
    )
    for r in records:
        row = [r.round, r.group, r.step, r.time, _join(r.living), _join(r.met), r.source]
        row += [r.reason, r.margin, r.adopted, r.failed, r.ages.get(r.group, ""), r.bytes]
        row += [_join(after[r.round][r.group]), _join(r.mutated)]
        row += [r.scores.get(r.group, {}).get(m, "") for m in metrics]
        row += [r.scores.get(r.source, {}).get(m, "") for m in metrics]
        row += [r.hyperparameters.get(name, "") for name in tuned]
        row += [r.seconds.get(phase, "") for phase in phases]
        writer.writerow(row)
    return text.getvalue()


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lay out a Markdown table; of a long one the first and last rows."""
    shown = rows
    if len(rows) > 2 * _SHOWN:
        gap = [f"{len(rows) - 2 * _SHOWN} more", *[""] * (len(head) - 1)]
        shown = [*rows[:_SHOWN], gap, *rows[-_SHOWN:]]
    lines = [head, ["---"] * len(head), *shown]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _scores(scores: Mapping[str, float]) -> str:
    told = ", ".join(f"{metric} {_figure(value)}" for metric, value in scores.items())
    return f" ({told})" if told else ""


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _join(values: Iterable[object]) -> str:
    return " ".join(map(str, values))


def _shorten(groups: list[int]) -> str:
    shown = " ".join(map(str, groups[:_SHOWN]))
    return f"{shown} .." if len(groups) > _SHOWN else shown


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)

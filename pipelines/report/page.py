"""The page: what was run, the table, the figures. One file, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import html
from pathlib import Path

import polars as pl

from pipelines.configurations import per_configuration
from pipelines.fleet import Fleet
from pipelines.report.figures import figures, save

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;font-size:13px;white-space:nowrap}th,td{padding:3px 9px;text-align:right}
th{border-bottom:2px solid #444;vertical-align:bottom}td:nth-child(-n+3),th:nth-child(-n+3){text-align:left}
tr:nth-child(even){background:#f4f6f8}img{max-width:100%}.wide{overflow-x:auto}h2{margin-top:1.6em}small{color:#666}"""
NOTE = """MAE in the target's unit; skill = 1 - MAE / MAE of persistence on identical (origin, lead) pairs;
coverage and a number = share of truths inside the central interval of so many per cent; cpu_s = CPU seconds of all the
nowcaster did; dC, dE = per cent against the same model retrained every slot on the full history, dE as mean over
targets of the MAE ratio; ENC = (E / E_ref) (C / C_ref), below 1 pays; rows = mean rows of a training."""


def write_report(fleet: Fleet, table: pl.DataFrame) -> Path:
    """Write `report.html` and its PNGs into the run's folder; returns the page."""
    folder = fleet.folder
    parts = [f"<h1>{html.escape(fleet.name)}</h1>", f"<p>{_what(fleet, table)}</p>"]
    parts += ["<div class=wide>", _table(per_configuration(table)), "</div>", f"<p><small>{NOTE}</small></p>"]
    for name, (title, made) in figures(fleet.edges.store, table, fleet.task).items():
        path = save(made, folder / "figures" / f"{name}.png")
        data = base64.b64encode(path.read_bytes()).decode()
        parts.append(
            f'<h2>{html.escape(title)}</h2><img alt="{html.escape(title)}" src="data:image/png;base64,{data}">'
        )
    page = folder / "report.html"
    head = f"<!doctype html><meta charset=utf-8><title>{html.escape(fleet.name)}</title><style>{STYLE}</style>"
    page.write_text(head + "".join(parts))
    return page


def _what(fleet: Fleet, table: pl.DataFrame) -> str:
    decisions = fleet.edges.store.records("decisions")
    first, last = (day.strftime("%Y-%m-%d %H:%M") for day in (decisions["slot"][0], decisions["slot"][-1]))
    targets = ", ".join(f"{v.name.replace('_', ' ')} ({v.unit})" for v in fleet.task.targets)
    return (
        f"{len(fleet.nowcasters)} nowcasters, {int(table['slots'].to_list()[0])} slots from {first} to "
        f"{last} UTC. Targets: {html.escape(targets)}; horizon {fleet.task.horizon}; "
        f"history up to {fleet.settings.history} rows."
    )


def _table(table: pl.DataFrame) -> str:
    shown = table.drop("nowcaster", "slots")
    head = "".join(f"<th>{html.escape(c).replace('/', '<br>').replace('_', ' ')}</th>" for c in shown.columns)
    rows = [
        "".join(f"<td>{_cell(name, value)}</td>" for name, value in row.items()) for row in shown.iter_rows(named=True)
    ]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _cell(name: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        digits = 0 if name == "rows" else 1 if name in ("cpu_s", "wall_s", "dC", "dE") else 3
        return f"{value:,.{digits}f}"
    return html.escape(str(value))

"""`forecast JOB [key=value ...]`: a thin dispatcher. Nothing heavy is imported before a job is known."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence

JOBS = {
    "replay": "replay a stretch of history through the whole loop and report on it",
    "train": "train one model on the history in the store and save it",
    "nowcast": "one tick on the live or a replayed clock; run it again and nothing changes",
    "compare": "table and plots of the runs in MLflow",
    "status": "each nowcaster: last check, L_now, L_ref, age, decision, version, next slot",
    "ui": "open the MLflow UI on the runs",
}
HELP = """forecast JOB [key=value ...] [-m] [--config-dir DIR]

jobs:
{jobs}

examples:
  forecast replay +experiment=nyc
  forecast replay model=lstm reducer=variance_horizon policy=on_drift
  forecast replay -m model=xgboost,lstm policy=always,on_drift
  forecast nowcast clock.now=2013-05-25T06:00Z

  forecast JOB --cfg job     shows the configuration a job would run with
  forecast completion bash   prints a completion script: eval "$(forecast completion bash)"

exit codes: 0 done or nothing to do, 2 configuration or input, 3 no fresh data, 4 partial failure"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one job; returns the exit code (as a console script it becomes the process's)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP.format(jobs="\n".join(f"  {name:9s}{what}" for name, what in JOBS.items())))
        return 0
    job, *overrides = words
    if job == "completion":
        from pipelines.completion import script

        print(script(overrides[0] if overrides else "bash"))
        return 0
    if job not in JOBS:
        near = difflib.get_close_matches(job, JOBS, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        print(f"forecast: unknown job '{job}': {hint}jobs: {', '.join(JOBS)}", file=sys.stderr)
        return 2
    if "-h" in overrides or "--help" in overrides:
        print(f"forecast {job}: {JOBS[job]}\n\nIts settings, with the values they have now:  forecast {job} --cfg job")
        return 0
    from pipelines.run import run

    return run(job, overrides)

"""`forecast JOB [key=value ...]`: a thin dispatcher. Nothing heavy is imported before a job is known."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence

JOBS = {
    "replay": "replay a stretch of history through the whole loop and report on it",
    "backtest": "fit several models on one table and compare their forecasts with persistence, by variable and lead",
    "train": "train the models of the configuration once, now, and save them",
    "nowcast": "one tick on the live or a replayed clock; run it again and nothing changes",
    "compare": "table and plot of the runs in MLflow: error, skill, cost",
    "status": "each nowcaster: last check, L_now, L_ref, age, decision, version, next slot",
    "ui": "open the MLflow UI on the runs",
    "completion": "print a completion script for bash or zsh",
}
HELP = """forecast JOB [key=value ...] [-m] [--config-dir DIR]

jobs:
{jobs}

examples:
  forecast replay +experiment=nyc
  forecast replay model=lstm reducer=variance_horizon policy=on_drift clock.start=2013-05-21T00:00Z
  forecast replay -m model=xgboost,lstm policy=always,on_drift      one run for each combination
  forecast backtest +experiment=site12 backtest.part=choose
  forecast nowcast clock.now=2013-05-25T06:00Z
  eval "$(forecast completion bash)"                                tab completion in this shell

  forecast JOB --help        its settings and what they mean
  forecast JOB --cfg job     the whole configuration a job would run with
  forecast --version

exit codes: 0 done or nothing to do, 2 configuration or input, 3 no fresh data, 4 partial failure or locked"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one job; returns the exit code (as a console script it becomes the process's)."""
    try:
        return _main(argv)
    except BrokenPipeError:  # whoever read the output has seen enough: `forecast replay --help | head`
        sys.stdout = None
        return 0


def _main(argv: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP.format(jobs="\n".join(f"  {name:12s}{what}" for name, what in JOBS.items())))
        return 0
    if words[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"nowcastle {version('nowcastle')}")
        return 0
    job, *overrides = words
    if job not in JOBS:
        return _unknown(job)
    if "-h" in overrides or "--help" in overrides:
        from pipelines.settings_help import settings_help

        print(settings_help(job))
        return 0
    if job == "completion":
        return _completion(overrides)
    from pipelines.run import run

    return run(job, overrides)


def _unknown(job: str) -> int:
    near = difflib.get_close_matches(job, JOBS, n=1)
    hint = f"did you mean '{near[0]}'? " if near else "the job comes first. " if job[0] in "-+~" or "=" in job else ""
    print(f"forecast: unknown job '{job}': {hint}jobs: {', '.join(JOBS)}", file=sys.stderr)
    return 2


def _completion(words: Sequence[str]) -> int:
    from forecast.errors import ForecastError
    from pipelines.completion import script

    try:
        print(script(words[0] if words else "bash"))
    except ForecastError as error:
        print(f"forecast completion: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`forecast JOB --help`: what a job does and what can be set, read from conf/."""

from __future__ import annotations

from pipelines.cli import JOBS
from pipelines.completion import groups, settings

TEXT = """forecast {job}: {what}

usage: forecast {job} {usage}
{more}
choices (group=option):
{groups}

settings (key=value), their defaults:
{settings}

Keys below a choice are set alike: policy.detector.threshold=5. All of them, as they are now:
forecast {job} --cfg job. Own choices: a folder with the same groups, --config-dir DIR, and for classes of
your own package allowed_targets=[yourpackage]."""
USAGE = {
    "replay": "[key=value ...]; the same command again goes on where it was interrupted",
    "backtest": "[+experiment=NAME] [key=value ...]; the same command again goes on where it was interrupted",
    "train": "[clock.now=TIME]",
    "nowcast": "[clock.now=TIME]; call it from cron, systemd or a CronJob",
    "compare": "[fleet=NAME] [folder=DIR]",
    "status": "[run=NAME] [folder=DIR]",
    "ui": "[folder=DIR] [port=5000]",
    "completion": "[bash|zsh]",
}
SHORT = {
    "compare": ("folder", "fleet", "tracker"),
    "status": ("folder", "run"),
    "ui": ("folder", "fleet", "port", "tracker"),
    "completion": (),
}
MORE = {
    "replay": "With -m, one run for each combination: forecast replay -m reducer=full,variance_horizon seed=1,2\n",
    "nowcast": "Exit codes: 0 done or nothing to do, 2 configuration, 3 no fresh data, 4 a training failed.\n",
}


def settings_help(job: str) -> str:
    """The text for one job; jobs that only look show the few settings that matter to them."""
    if job == "completion":
        return f'forecast completion {USAGE[job]}\n\n{JOBS[job]}: eval "$(forecast completion bash)"'
    wanted = SHORT.get(job)
    options = {g: o for g, o in groups().items() if not wanted or g in wanted}
    keys = [row for row in settings() if not wanted or row[0] in wanted]
    width = max(len(f"{key}={default}") for key, default, _ in keys)
    return TEXT.format(
        job=job,
        what=JOBS[job],
        usage=USAGE[job],
        more=MORE.get(job, ""),
        groups="\n".join(
            f"  {'+' if g == 'experiment' else ''}{g + '=':12s}{', '.join(o)}" for g, o in options.items()
        ),
        settings="\n".join(f"  {f'{key}={default}':{width}s}  {comment}".rstrip() for key, default, comment in keys),
    )

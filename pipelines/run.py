"""From the command line to a job: Hydra composes, everything below sees plain data."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forecast.errors import ForecastError
from pipelines.checking import GROUPS, KEYS, checked

CONFIG = "pkg://forecast.conf"
TAKE_VALUE = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--cfg", "-c", "--package", "-p")
CHOICE = ("model", "reducer", "policy")
LOOP = (*CHOICE, "executor", "source", "store", "model@baselines.persistence")
UNUSED = {"compare": (*LOOP, "task", "variables"), "ui": (*LOOP, "task", "variables"), "status": (*LOOP, "tracker")}


def run(job: str, overrides: Sequence[str]) -> int:
    """Compose the configuration and run the job once, or once per combination with -m. Returns the exit code."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from pipelines.wording import config_error

    for word in overrides:  # which Hydra meets with a traceback that does not say the group
        group, _, value = word.partition("=")
        if value == "null" and group in GROUPS:
            told = f"{group} is null: it must be a choice of conf/{group}/, {group}=NAME"
            print(f"forecast {job}: {told}", file=sys.stderr)
            return ForecastError.exit_code
    codes: list[int] = []
    spent_s = [0.0]  # CPU seconds of the process when the job before ended

    @hydra.main(version_base="1.3", config_path=CONFIG, config_name="config")
    def task(config: DictConfig) -> None:
        codes.append(_guarded(job, config, overrides, spent_s[-1]))
        spent_s.append(cpu_s())

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here as they are, and are worded below
    before = sys.argv
    try:
        with TemporaryDirectory() as scratch:  # a sweep insists on leaving a file somewhere
            sys.argv = ["forecast", *_in_order([*_left_out(job, overrides), f"hydra.sweep.dir={scratch}", *overrides])]
            task()
    except (HydraException, OmegaConfBaseException) as error:
        print(f"forecast {job}: {config_error(error, {*KEYS, 'experiment'})}", file=sys.stderr)
        return ForecastError.exit_code
    finally:
        sys.argv = before
    return max(codes, default=0)


def _left_out(job: str, overrides: Sequence[str]) -> list[str]:
    """Groups that the job does not need, unless they are spoken of: what is broken there keeps nobody from looking."""
    given = {re.split(r"[=.]", word.lstrip("+~"))[0] for word in overrides}
    if "experiment" in given:  # which may speak of any group
        return []
    return [f"~{group}" for group in UNUSED.get(job, ()) if group not in given]


def _needed(job: str, config: dict[str, Any]) -> list[str]:
    """Groups that the job cannot do without; a grid says itself which models, reducers and policies."""
    spared = {*UNUSED.get(job, ()), "baselines", *(CHOICE if config.get("grid") else ())}
    return [group for group in GROUPS if group not in spared]


def _in_order(words: Sequence[str]) -> list[str]:
    """Overrides first, then flags with their values: Hydra's parser takes no override after a flag.

    >>> _in_order(["a=1", "--config-dir", "conf", "b=2", "-m"])
    ['a=1', 'b=2', '--config-dir', 'conf', '-m']
    """
    flags = [k for k, word in enumerate(words) if word.startswith("-")]
    values = [k + 1 for k in flags if words[k] in TAKE_VALUE and k + 1 < len(words)]
    last = {*flags, *values}
    return [*(w for k, w in enumerate(words) if k not in last), *(words[k] for k in sorted(last))]


def _guarded(job: str, config: Any, overrides: Sequence[str], before_s: float) -> int:
    """Run the job; an error the user can act on becomes its message and its exit code."""
    from omegaconf.errors import OmegaConfBaseException

    from pipelines.wording import config_error, system_error

    try:
        plain, choices = _plain(config, overrides)
        work: Callable[..., int] = importlib.import_module(f"pipelines.jobs.{job}").main
        return work({**checked(plain, _needed(job, plain)), "cpu_before_s": before_s}, choices)
    except ForecastError as error:
        print(f"forecast {job}: {error}", file=sys.stderr)
        return error.exit_code
    except OmegaConfBaseException as error:
        print(f"forecast {job}: {config_error(error, {*KEYS, 'experiment'})}", file=sys.stderr)
        return ForecastError.exit_code
    except OSError as error:
        message = system_error(error)
        if message is None:
            raise
        print(f"forecast {job}: {message}", file=sys.stderr)
        return ForecastError.exit_code
    except KeyboardInterrupt:
        print(f"forecast {job}: interrupted; what was done is kept, run it again to go on", file=sys.stderr)
        return 130


def _plain(config: Any, overrides: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The configuration resolved, and the chosen option of each group; in a sweep each combination has its own run."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    own = HydraConfig.get()
    if own.mode == RunMode.MULTIRUN:
        name = sweep_name(overrides, own.overrides.task)
        print(f"\nforecast {name or 'sweep'} ({own.job.num + 1})", flush=True)
        if name and "run" not in {word.split("=")[0] for word in _swept(overrides)}:
            config.run = f"{config.run}/{name}"
    if isinstance(config.folder, str):
        config.folder = str(Path(config.folder).expanduser().absolute())
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return plain, {k: str(v) for k, v in own.runtime.choices.items() if "hydra" not in k}


def sweep_name(overrides: Sequence[str], task: Sequence[str]) -> str:
    """What tells one combination of a sweep from the others, as the name of a folder.

    >>> sweep_name(["-m", "model=xgboost,lstm", "history=1680", "seed=1,2"], ["model=lstm", "history=1680", "seed=2"])
    'model-lstm_seed-2'
    """
    swept = {word.split("=")[0].lstrip("+") for word in _swept(overrides)}
    found = [word.lstrip("+") for word in task if word.lstrip("+").split("=")[0] in swept]
    return "_".join(re.sub(r"[^\w.-]+", "-", word).strip("-.") for word in found)


def _swept(overrides: Sequence[str]) -> list[str]:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    given = [word for word in overrides if "=" in word and not word.startswith("-")]
    return [str(o.input_line) for o in OverridesParser.create().parse_overrides(given) if o.is_sweep_override()]


def cpu_s() -> float:
    """CPU seconds of this process and its ended children so far."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def run_folder(config: dict[str, Any]) -> Path:
    """Folder of this run: `runs/<run>`, absolute, so that no later change of directory matters."""
    return (Path(config["folder"]) / config["run"]).expanduser().absolute()

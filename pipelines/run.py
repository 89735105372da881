"""From the command line to a job: Hydra composes, everything below sees plain data."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from forecast.errors import ForecastError, UnknownNameError

CONFIG = "pkg://forecast.conf"


def run(job: str, overrides: Sequence[str]) -> int:
    """Compose the configuration and run the job once, or once per combination with -m. Returns the exit code."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    codes: list[int] = []
    spent_s = [0.0]  # CPU seconds of the process when the job before ended

    @hydra.main(version_base="1.3", config_path=CONFIG, config_name="config")
    def task(config: DictConfig) -> None:
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        choices = {k: str(v) for k, v in HydraConfig.get().runtime.choices.items() if "hydra" not in k}
        codes.append(_guarded(job, {**plain, "cpu_before_s": spent_s[-1]}, choices))
        spent_s.append(cpu_s())

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here as they are, and are worded below
    before = sys.argv
    sys.argv = ["forecast", *overrides]
    try:
        task()
    except (HydraException, OmegaConfBaseException) as error:
        print(f"forecast {job}: {_worded(error)}", file=sys.stderr)
        return ForecastError.exit_code
    finally:
        sys.argv = before
    return max(codes, default=0)


def _guarded(job: str, config: dict[str, Any], choices: dict[str, str]) -> int:
    """Run the job; an error the user can act on becomes its message and its exit code."""
    work: Callable[..., int] = importlib.import_module(f"pipelines.jobs.{job}").main
    try:
        return work(config, choices)
    except ForecastError as error:
        print(f"forecast {job}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"forecast {job}: interrupted; what was done is kept, run it again to go on", file=sys.stderr)
        return 130


def _worded(error: Exception) -> str:
    """Hydra's complaint, with the nearest name where it is about a name."""
    text = str(error)
    option = re.search(r"Could not find '([^'/]+)/([^']+)'", text)
    if option:
        known = re.findall(r"^\t(\S+)$", text.split("Config search path")[0], re.MULTILINE)
        return str(UnknownNameError(option[1], option[2], known))
    key = re.search(r"Could not override '([^']+)'|Key '([^']+)' is not in struct", text)
    if key:
        from pipelines.completion import words

        given = key[1] or key[2]
        return str(UnknownNameError("key", given, {w.split("=")[0].lstrip("+") for w in words() if "=" in w}))
    return text


def cpu_s() -> float:
    """CPU seconds of this process and its ended children so far."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def run_folder(config: dict[str, Any]) -> Path:
    """Folder of this run: `runs/<run>`, absolute, so that no later change of directory matters."""
    return (Path(config["folder"]) / config["run"]).expanduser().absolute()

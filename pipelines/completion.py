"""Tab completion: jobs first, then configuration groups, their options and the top-level keys."""

from __future__ import annotations

from importlib.resources import files

from forecast.errors import UnknownNameError
from pipelines.cli import JOBS

TEMPLATE = """_forecast() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words
  if [ "$COMP_CWORD" -eq 1 ]; then words="{jobs}"; else words="{keys}"; fi
  COMP_WORDBREAKS="${{COMP_WORDBREAKS//=/}}"
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [ "${{#COMPREPLY[@]}}" -eq 1 ] && [ "${{COMPREPLY[0]: -1}}" = "=" ]; then compopt -o nospace; fi
}}
complete -F _forecast forecast"""


def script(shell: str) -> str:
    """A completion script for bash, or for zsh through its bash emulation.

    Raises:
        UnknownNameError: another shell.
    """
    if shell not in ("bash", "zsh"):
        raise UnknownNameError("shell", shell, ["bash", "zsh"])
    head = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return head + TEMPLATE.format(jobs=" ".join(JOBS), keys=" ".join(words()))


def words() -> list[str]:
    """Every `group=option` and `key=` that conf/ offers."""
    root = files("forecast.conf")
    found = ["-m"]
    for group in sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("__")):
        plus = "+" if group == "experiment" else ""
        options = sorted(p.name.removesuffix(".yaml") for p in (root / group).iterdir() if p.name.endswith(".yaml"))
        found += [f"{plus}{group}={option}" for option in options]
    lines = (root / "config.yaml").read_text().splitlines()
    keys = [line.split(":")[0] for line in lines if line[:1].isalpha() and ":" in line]
    return found + [f"{key}=" for key in keys if key not in ("defaults", "hydra")]

"""Tab completion: jobs first, then configuration groups, their options and the keys, as conf/ has them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from forecast.errors import UnknownNameError
from pipelines.cli import JOBS

HIDDEN = ("defaults", "hydra")
FLAGS = ("-m", "--help", "--cfg", "--config-dir")
# The word is cut from the line by hand: bash splits words at "=", and replaces only what stands after it.
TEMPLATE = """_forecast() {{
  local line="${{COMP_LINE:0:COMP_POINT}}" words
  local word="${{line##*[[:space:]]}}" before="${{line%[[:space:]]*}}"
  COMPREPLY=()
  case "$before" in
    *--config-dir) COMPREPLY=($(compgen -d -- "$word")); return ;;
    *--cfg) words="job hydra all" ;;
    *[[:space:]]*) words="{keys}" ;;
    *) words="{jobs} --help --version" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [ "${{#COMPREPLY[@]}}" -eq 1 ] && [ "${{COMPREPLY[0]: -1}}" = "=" ]; then compopt -o nospace 2>/dev/null; fi
  if [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then COMPREPLY=("${{COMPREPLY[@]#"${{word%=*}}="}}"); fi
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
    offered = [
        f"{'+' if group == 'experiment' else ''}{group}={option}"
        for group, options in groups().items()
        for option in options
    ]
    return [*FLAGS, *offered, *(f"{key}=" for key, _, _ in settings())]


def groups() -> dict[str, list[str]]:
    """Each group of conf/ and its options."""
    folders = [p for p in files("forecast.conf").iterdir() if p.is_dir() and not p.name.startswith("__")]
    return {
        folder.name: sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))
        for folder in sorted(folders, key=lambda p: p.name)
    }


def settings() -> Iterator[tuple[str, str, str]]:
    """The keys of conf/config.yaml: (dotted key, default, comment). Read as text: no YAML parser to load."""
    path: list[str] = []
    for line in files("forecast.conf").joinpath("config.yaml").read_text().splitlines():
        text, _, comment = line.partition("#")
        key, colon, default = (part.strip() for part in text.partition(":"))
        if colon:
            path = [*path[: (len(line) - len(line.lstrip())) // 2], key]
            if default and path[0] not in HIDDEN:
                yield ".".join(path), default, comment.strip()

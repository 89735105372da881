"""Hydra's and the system's complaints in the words of the platform, with the nearest name where it is about a name."""

from __future__ import annotations

import errno
import re

from omegaconf.errors import OmegaConfBaseException

from forecast.errors import UnknownNameError

NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENOSPC)


def config_error(error: Exception, keys: set[str]) -> str:
    """What is wrong with an override or a YAML file.

    Args:
        error: from Hydra or OmegaConf.
        keys: top-level keys and groups, for where the error does not say which there are.
    """
    root = _root(error)
    parent = getattr(root, "parent_node", None)
    option = re.search(r"Could not find '([^']+)/([^'/]+)'", str(root))
    absent = re.search(r"Could not delete from config. '([^']+)'", str(root))
    if option:
        known = re.findall(r"^\t(\S+)$", str(root).split("Config search path")[0], re.MULTILINE)
        return str(UnknownNameError(option[1].lstrip("/"), option[2], known))
    if isinstance(root, OmegaConfBaseException) and parent is not None and "not in" in str(root):
        return _unknown_key(str(root.full_key), {str(k) for k in parent}, keys)
    if absent:
        return str(UnknownNameError("key", absent[1], keys))
    return _shortened(str(error))


def _unknown_key(full: str, siblings: set[str], keys: set[str]) -> str:
    place, _, name = full.rpartition(".")
    if not place:
        return str(UnknownNameError("key", name, keys))
    return str(UnknownNameError(f"key of {place}", name, siblings - {"_target_"}))


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _shortened(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and "hydra.cc" not in line]
    if "No match in the defaults list" in text:
        return f"{lines[0].split(' No match')[0]} It is added with a plus: {lines[-1].split()[-1]}"
    if "Ambiguous value" in text:
        return f"{lines[0]}: add -m to run one job for each, or quote it: key=[a,b] or key='\"a,b\"'"
    if "Error parsing override" in text or "no viable alternative" in text:
        return f"{'; '.join(lines)}: write key=value, and quote values with special characters: 'key=\"a b\"'"
    return "\n".join(lines)


def system_error(error: OSError) -> str | None:
    """A place that cannot be read or written, in words; None for any other trouble, which is not the user's."""
    if error.errno not in NO_ACCESS:
        return None
    place = f"'{error.filename}'" if error.filename else "a file"
    return f"cannot read or write {place}: {error.strerror or error}. Choose another place: folder=DIR"

"""Tab completion, asked in a real bash."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pipelines.completion import script

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
ASK = """{script}
COMP_WORDBREAKS={breaks}
COMP_LINE="$1"; COMP_POINT=${{#COMP_LINE}}
COMP_WORDS=($1); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_forecast
printf '%s\\n' "${{COMPREPLY[@]}}"
printf 'breaks:%s' "$COMP_WORDBREAKS"
"""


def completed(line: str, breaks: str = "$' \\t\\n\"=:'") -> list[str]:
    """What bash offers at the end of `line`; its own word breaks stay as they were."""
    code = ASK.format(script=script("bash"), breaks=breaks)
    told = subprocess.run(["bash", "-c", code, "bash", line], capture_output=True, text=True, check=True)
    assert told.stderr == ""
    words, _, left = told.stdout.rpartition("\nbreaks:")
    assert ("=" in left) == ("=" in breaks)
    return [word for word in words.splitlines() if word]


def test_jobs_come_first() -> None:
    assert completed("forecast re") == ["replay"]
    assert {"replay", "train", "nowcast", "compare", "status", "ui"} <= set(completed("forecast "))


def test_then_groups_and_keys() -> None:
    assert "model=lstm" in completed("forecast replay mod")
    assert completed("forecast replay hist") == ["history="]
    assert completed("forecast replay clock.s") == ["clock.start="]
    assert {"+experiment=drift", "+experiment=nyc"} <= set(completed("forecast replay +exp"))
    assert "site12" in completed("forecast backtest +experiment=s")
    assert completed("forecast replay model=lstm poli", breaks="' '") == [
        "policy=always",
        "policy=every",
        "policy=never",
        "policy=on_drift",
        "policy=on_drift_ratio",
        "policy=on_drift_weeks",
        "policy=weekly",
    ]


def test_after_an_equals_sign_only_the_rest_is_put_in() -> None:
    assert completed("forecast replay model=pers") == ["persistence"]
    assert completed("forecast replay model=pers", breaks="' '") == ["model=persistence"]


def test_flags() -> None:
    assert completed("forecast replay --cfg j") == ["job"]
    assert completed("forecast replay --conf") == ["--config-dir"]


def test_nothing_fits() -> None:
    assert completed("forecast replay zzz") == []

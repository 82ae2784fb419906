"""How long a story is: of the errors that people meet every day, and of those that have very much to tell."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests import programs
from tests.engines.kit import PANEL_ONLY

USUAL = Path(__file__).parent / "programs" / "usual.py"


@pytest.mark.behaviour("S0-8")
@pytest.mark.on_main()
def test_the_usual_errors_are_never_longer_than_pythons_own_text(tmp_path):
    texts = {}
    for autotb in ("1", "0"):
        ran = programs.start(
            [sys.executable, str(USUAL)], tmp_path, autotb=autotb, AUTOTB_STYLE="rich", COLUMNS="160", timeout=300
        )
        assert ran.status == 0, ran.stderr
        texts[autotb] = json.loads(ran.stdout)
    wrong = []
    for name, (bare, _) in texts["0"].items():
        panel, plain = (text.rstrip("\n").split("\n") for text in texts["1"][name])
        most = len(bare.rstrip("\n").split("\n"))
        if len(plain) > most or sum(not PANEL_ONLY.match(line) for line in panel) > most or "autotb: " in panel[-1]:
            wrong.append("\n".join([f"== {name}: {most} lines", bare, *panel, *plain]))

    assert len(texts["0"]) >= 100
    assert not wrong, "\n".join(wrong)

"""The command that kills flows: a few rounds of it."""

from __future__ import annotations

import json
import sys

import pytest

from tests import kills


@pytest.mark.parametrize(("seed", "executor"), [(4, "threads"), (5, "processes")])
def test_a_flow_that_is_killed_and_resumed_is_as_if_nobody_had_killed_it(tmp_path, seed, executor):
    one = kills.Round(seed, executor, tmp_path)

    assert one.run() == []
    assert len(one.moments) >= 3


def test_a_call_that_is_made_again_though_it_was_kept_is_told(tmp_path):
    one = kills.Round(0, "threads", tmp_path)
    one.log.write_text("\n".join(["begun 0 1", "kept " + json.dumps([["step 0", 1]]), "begun 0 2", "begun 0 1"]))
    one.compare()

    assert one.faults == ["called again though it was kept: 0 1"]


@pytest.mark.parametrize("nothing", [kills.HUNG, kills.NOTHING])
def test_a_round_of_which_no_run_has_a_result_is_no_good_one(tmp_path, monkeypatch, nothing):
    monkeypatch.setattr(kills.Round, "ended", lambda *_: nothing)
    monkeypatch.setattr(kills.Round, "kill", lambda _: None)
    one = kills.Round(0, "threads", tmp_path)

    assert one.run() == [f"the run that nobody killed: {nothing}"]


def test_a_round_with_faults_is_the_status(monkeypatch, capsys):
    def run(one):
        (one.folder / "stderr").write_text("what it said")
        return ["came to another"] if one.seed == 1 else []

    monkeypatch.setattr(kills.Round, "run", run)
    monkeypatch.setattr(sys, "argv", ["kills", "2"])

    assert kills.main() == 1
    told = capsys.readouterr().out
    assert "came to another" in told
    assert "what it said" in told
    assert told.endswith("2 rounds, 1 with faults\n")

"""Public names live where the table says; switching on and off ends no program, whatever is missing."""

from __future__ import annotations

import importlib
import sys

import pytest

import autotb
from autotb import api, boot


@pytest.mark.parametrize("name", api.HOMES)
def test_each_public_name_is_where_it_says(name):
    assert getattr(importlib.import_module(api.HOMES[name]), name) is getattr(autotb, name)


def test_a_name_that_was_used_is_kept_in_the_package():
    vars(autotb).pop("WorkerDied", None)
    found = api.load("WorkerDied")

    assert vars(autotb)["WorkerDied"] is found


@pytest.mark.parametrize(
    ("value", "is_off"), [("0", True), ("OFF", True), ("no", True), ("False", True), ("1", False), ("", False)]
)
def test_off_in_every_spelling(monkeypatch, value, is_off):
    monkeypatch.setenv("AUTOTB", value)

    assert api.is_off() is is_off


def test_install_does_nothing_where_autotb_is_off(monkeypatch):
    monkeypatch.setattr(boot, "started", False)
    monkeypatch.setattr(api, "_install", lambda: 1 / 0)
    monkeypatch.setenv("AUTOTB", "0")
    before = sys.excepthook, list(sys.meta_path)
    api.install()

    assert (sys.excepthook, sys.meta_path) == before


@pytest.fixture
def reported(monkeypatch):
    found = []
    monkeypatch.setattr(boot, "started", True)
    monkeypatch.setattr(boot, "report", lambda where, error: found.append((where, type(error))))
    for name in ("_install", "_uninstall"):
        monkeypatch.setattr(api, name, lambda: 1 / 0)
    return found


def test_an_install_that_fails_says_so_and_ends_nothing(reported):
    api.install()

    assert reported == [("install()", ZeroDivisionError)]


def test_an_uninstall_that_fails_says_so_and_names_no_patch(reported):
    assert api.uninstall() == []
    assert reported == [("uninstall()", ZeroDivisionError)]


def test_what_was_never_installed_is_not_taken_off(reported, monkeypatch):
    monkeypatch.setattr(boot, "started", False)

    assert api.uninstall() == []
    assert reported == []

"""Which module's import loads which adapter is read from the adapters, none of which is imported."""

from __future__ import annotations

import ast
import importlib

import pytest

from autotb._triggers import TRIGGERS
from autotb.cli import triggers


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("MODULES = ('a', 'a.b')", ("a", "a.b")),
        ("NAME = 'a'", ()),
        ("def f():\n    MODULES = ('a',)", ()),
        ("import nothing_that_is_there\nMODULES = ('a',)", ("a",)),
    ],
)
def test_what_a_module_declares(text, modules):
    assert triggers._declared(ast.parse(text)) == modules


def test_an_adapter_that_is_a_folder_goes_by_the_folders_name():
    assert "autotb.engines.multiprocessing" in triggers.adapters()


def test_what_is_no_adapter_declares_nothing():
    assert "autotb.engines" not in triggers.adapters()


@pytest.mark.parametrize("name", triggers.adapters())
def test_an_adapter_has_what_is_read_of_it(name):
    assert triggers.adapters()[name] == importlib.import_module(name).MODULES


def test_the_table_is_python_that_says_the_same():
    exec(triggers.table(), namespace := {})

    assert namespace["TRIGGERS"] == TRIGGERS

"""What a configuration file must define for an engine is had from it, or asked for by name."""

from __future__ import annotations

import pytest

from autotb.instrument import workers


def test_what_the_file_defines_is_had():
    assert workers.configured({"address": "tcp://"}, "address", str, "dask") == "tcp://"


def test_without_a_file_the_engines_default_is_asked():
    assert workers.configured({}, "address", str, "dask") is None


@pytest.mark.parametrize("given", [{"other": 1}, {"address": 5}])
def test_a_file_that_defines_something_else_is_told_what_to_define(given):
    with pytest.raises(workers.Unusable, match="for dask the file must define `address`, a str"):
        workers.configured(given, "address", str, "dask")

"""A worker's error in a Streamlit app; Streamlit is installed on the main Python alone."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="Streamlit is installed on the main Python alone")

APP = """
from concurrent.futures import ProcessPoolExecutor
import streamlit

def ratio(clicks, views):
    return clicks / views

def fail():
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(ratio, 1, 0).result()

if __name__ == "__main__":
    import sys
    from streamlit.elements import exception
    from streamlit.proto.Exception_pb2 import Exception as Shown

    try:
        fail()
    except ZeroDivisionError as error:
        for visible in (True, False):
            print(*exception._get_stack_trace_str_list(error, include_exception_message=visible), sep="\\n")
            print("===")
"""


def test_the_workers_frames_and_no_arguments_where_messages_are_hidden(run):
    shown, hidden, _ = run(APP, COLUMNS="200").stdout.split("===")

    assert "[ratio(clicks=1, views=0)]" in shown
    assert "_base.py" not in shown
    assert "clicks=1" not in hidden
    assert "in ratio" in hidden

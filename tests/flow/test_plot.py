"""A flow as a picture, in two languages."""

from __future__ import annotations

import pytest

from autotb import Flow, step


def invert(x):
    return 1 / x


@pytest.fixture
def flow():
    made = Flow(error_handling="continue", progress=False)
    shares = made.map(invert, [1, 0, 2])
    made.call(step(sum, name='a "sum" <b>#1'), shares)
    made.map(step(invert, name="again"), [1, 2])
    return made


def test_before_a_run_it_has_the_steps(flow):
    assert str(flow.plot()).split("\n")[:5] == [
        "flowchart LR",
        '    s0["invert<br/>map"]:::waiting',
        '    s1["a #34;sum#34; #60;b#62;#35;1<br/>one call"]:::waiting',
        '    s2["again<br/>map"]:::waiting',
        "    s0 --> s1",
    ]


def test_after_a_run_it_has_counts_and_states(flow):
    flow.run()
    told = str(flow.plot())
    assert '    s0["invert<br/>2 done, 1 failed of 3"]:::failed' in told
    assert '<br/>1 skipped of 1"]:::skipped' in told
    assert '    s2["again<br/>2 done of 2"]:::done' in told
    assert told.count("classDef") == 3


def test_in_raise_mode_it_has_what_was_done():
    flow = Flow(progress=False)
    shares = flow.map(step(invert, chunksize=1), [0])
    flow.call(sum, shares)
    with pytest.raises(ZeroDivisionError):
        flow.run()
    assert 's1["sum<br/>none done of 1"]:::waiting' in str(flow.plot())


def test_graphviz_and_notebooks_have_the_same(flow):
    plot = flow.plot()
    assert plot.dot.startswith("digraph flow {")
    assert 'label="a \\"sum\\" <b>#1\\none call"' in plot.dot
    assert "    s0 -> s1" in plot.dot
    assert plot._repr_mimebundle_() == {"text/vnd.mermaid": plot.mermaid, "text/plain": plot.mermaid}
    assert repr(plot) == "<plot of 3 steps>"

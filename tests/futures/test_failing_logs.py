"""A log, a progress stream or a file that fails: the task's error, or its result, reaches the program all the same."""

from __future__ import annotations

import pytest

PROGRAM = """
import asyncio, logging, os, sys
from concurrent.futures import ThreadPoolExecutor

import autotb

class Full(logging.Handler):
    def emit(self, record):
        raise OSError(28, "log disk full")

class Closed:
    encoding = "utf-8"
    isatty = lambda self: True
    def write(self, text): raise RuntimeError("the stream is gone")
    flush = lambda self: None

def work(x):
    return 1 / x

def main(case):
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    stderr = sys.stderr
    if case.endswith("stream"):
        sys.stderr = Closed()
        logging.raiseExceptions = False
    elif case != "raise_exceptions":
        root.addHandler(Full())
    else:
        root.addHandler(logging.StreamHandler(Closed()))
    with ThreadPoolExecutor(1) as pool:
        submit = lambda x: pool.submit(work, x)
        try:
            if case in ("unwrap", "raise_exceptions"):
                autotb.unwrap(submit(0), "a")
            elif case == "log_to":
                autotb.unwrap(submit(0), "a", log_to="/dev/null/x.json")
            elif case == "succeeds":
                print(autotb.unwrap(submit(1), "a", log_to="/dev/null/x.json"))
            elif case == "retried":
                autotb.unwrap_with_retry(submit(0), "a", retry_on=ZeroDivisionError, wait=0)
            elif case in ("collect", "collect_stream"):
                found = autotb.collect([submit(0), submit(1), submit(0)], progress=case == "collect_stream", jsonl="/dev/null/x")
                print(found.results, [failure.error for failure in found.failures])
            elif case in ("collect_async", "collect_async_stream"):
                async def collected():
                    return await autotb.collect_async([submit(0), submit(1)], progress=case == "collect_async_stream")
                found = asyncio.run(collected())
                print(found.results, [failure.error for failure in found.failures])
            elif case == "map_stream":
                found = autotb.map(work, [0, 1], error_handling="continue", progress=True)
                print([type(one).__name__ for one in found])
            elif case == "map_raises_stream":
                autotb.map(work, [0, 1], progress=True)
            elif case in ("flow", "flow_stream"):
                flow = autotb.Flow(error_handling="continue", progress=None if case == "flow" else True)
                out = flow.map(work, [0, 1])
                found = flow.run()
                print([type(one).__name__ for one in found[out]])
        except Exception as error:
            print("raised", type(error).__name__)
    sys.stderr = stderr

if __name__ == "__main__":
    main(sys.argv[1])
"""
ZERO = "ZeroDivisionError: division by zero"
OUTCOMES = {
    "unwrap": "raised ZeroDivisionError",
    "log_to": "raised ZeroDivisionError",
    "retried": "raised ZeroDivisionError",
    "succeeds": "1.0",
    "collect": f"{{1: 1.0}} ['{ZERO}', '{ZERO}']",
    "collect_stream": f"{{1: 1.0}} ['{ZERO}', '{ZERO}']",
    "collect_async": f"{{1: 1.0}} ['{ZERO}']",
    "collect_async_stream": f"{{1: 1.0}} ['{ZERO}']",
    "map_stream": "['ErrorSnapshot', 'float']",
    "map_raises_stream": "raised ZeroDivisionError",
    "flow": "['ErrorSnapshot', 'float']",
    "flow_stream": "['ErrorSnapshot', 'float']",
}


@pytest.mark.parametrize("case", OUTCOMES)
def test_what_accompanies_the_outcome_does_not_replace_it(run, case):
    ran = run(PROGRAM, case)

    assert ran.stdout.strip() == OUTCOMES[case], ran.stderr
    if not case.endswith("stream"):
        told = [line for line in ran.lines if line.startswith("autotb: logging by autotb.")]
        assert len(told) == 1
        assert "log disk full" in told[0]


def test_what_logging_says_of_its_own_failures_is_as_ever(run):
    ran = run(PROGRAM, "raise_exceptions")

    assert ran.stdout.strip() == "raised ZeroDivisionError"
    assert "--- Logging error ---" in ran.stderr
    assert "autotb: logging by" not in ran.stderr

"""Log records of exceptions that came from a worker."""

from __future__ import annotations

WORKER_ERROR = """
from concurrent.futures import ProcessPoolExecutor

def work(x):
    return 1 / x
"""


def test_log_records_of_worker_errors_show_the_workers_frames(shows):
    def check(ran):
        assert ran.lines[0] == "ERROR:root:failed"
        assert "Traceback (most recent call last):" in ran.lines
        assert "concurrent/futures" not in ran.stderr
        assert "in work" in ran.stderr
        assert ran.stderr.count("ZeroDivisionError") == 1
        assert "\x1b" not in ran.stderr

    shows(
        WORKER_ERROR
        + """
import logging
logging.basicConfig()
if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(work, 0).result()
        except ZeroDivisionError:
            logging.exception("failed")
""",
        check,
    )


def test_log_records_of_other_errors_and_the_switch(run):
    code = (
        WORKER_ERROR
        + """
import logging, sys
logging.basicConfig()
if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(work, 0).result()
        except ZeroDivisionError:
            if len(sys.argv) > 1:
                logging.exception("failed")
    try:
        {}["k"]
    except KeyError:
        logging.exception("other")
"""
    )

    assert run(code).stderr == run(code, autotb="0").stderr
    assert "concurrent/futures" in run(code, "x", AUTOTB_LOGGING="0").stderr

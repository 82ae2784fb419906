"""A program with a real worker of Celery's on the filesystem broker, and what was seen of its cases."""

from __future__ import annotations

from pathlib import Path

from tests import programs

TOP = """
import os
import signal
import subprocess
import sys
import time

from celery import Celery, chain, chord, group
from kombu.transport import filesystem
from kombu.utils.json import dumps

HERE = os.path.dirname(os.path.abspath(__file__))
QUEUE = os.path.join(HERE, "queue")
os.makedirs(QUEUE, exist_ok=True)
os.makedirs(os.path.join(HERE, "results"), exist_ok=True)
app = Celery("main", broker="filesystem://", backend="file://" + os.path.join(HERE, "results"))
app.conf.update(
    broker_transport_options={
        "data_folder_in": QUEUE, "data_folder_out": QUEUE, "control_folder": QUEUE, "polling_interval": 0.05,
    },
    result_chord_retry_interval=0.1,
    worker_hijack_root_logger=False,
    worker_lost_wait=0.1,
    task_track_started=True,
)


def put(self, queue, payload, **_):  # kombu's own writes where others read meanwhile: half a message is lost
    name = f"{time.monotonic_ns() // 1_000_000}_{os.urandom(8).hex()}.{queue}.msg"
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(dumps(payload).encode())
    os.rename(os.path.join(HERE, name), os.path.join(QUEUE, name))


filesystem.Channel._put = put


def divide(clicks, views):
    return clicks / views


@app.task
def rate(clicks, views):
    return divide(clicks, views)


@app.task
def add(first, second=1):
    return first + second


@app.task
def total(values):
    return sum(values)


@app.task
def refused(item):
    raise ConnectionError(f"no {item}")


@app.task
def nap(seconds):
    time.sleep(seconds)
"""
BOTTOM = """

def main():
    command = [sys.executable, "-m", "celery", "-A", "main", "worker", "-P", "prefork", "-c", "1", "-l", "CRITICAL"]
    command += ["-O", "fair", "--without-mingle", "--without-gossip", "--without-heartbeat"]
    log = open(os.path.join(HERE, "worker.log"), "w")
    worker = subprocess.Popen(command, cwd=HERE, stdout=log, stderr=log)
    try:
        for case in sys.argv[1:]:
            sys.stderr.write(f"=== {case}\\n")
            sys.stderr.flush()
            try:
                globals()[case]()
            except Exception as error:
                print(case, type(error).__name__, error.args if type(error).__name__ != "ChordError" else "", flush=True)
                sys.excepthook(type(error), error, error.__traceback__)
    finally:
        worker.kill()  # to end well takes it five seconds
        worker.wait(30)


if __name__ == "__main__":
    sys.modules["main"] = sys.modules["__main__"]
    main()
"""


def both(factory, cases_code: str, cases: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """What each case showed, with autotb and without; the exceptions are the same."""
    found = []
    outcomes = []
    for autotb in "10":
        folder: Path = factory.mktemp(f"celery{autotb}")
        ran = programs.run(
            folder, TOP + cases_code + BOTTOM, *cases, autotb=autotb, AUTOTB_STYLE="plain", C_FORCE_ROOT="1", timeout=300
        )
        assert ran.status == 0, ran.stderr + (folder / "worker.log").read_text()
        found.append(programs.sections(ran.stderr))
        outcomes.append(ran.stdout)
    assert outcomes[0] == outcomes[1]
    return found[0], found[1]

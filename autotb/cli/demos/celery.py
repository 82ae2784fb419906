"""A Celery task fails in a worker process; here its result is asked for."""

import os
import subprocess
import sys

from celery import Celery

HERE = os.path.dirname(os.path.abspath(__file__))
QUEUE, RESULTS = os.path.join(HERE, "queue"), os.path.join(HERE, "results")
for folder in (QUEUE, RESULTS):
    os.makedirs(folder, exist_ok=True)
app = Celery("train", broker="filesystem://", backend=f"file://{RESULTS}")
app.conf.broker_transport_options = {"data_folder_in": QUEUE, "data_folder_out": QUEUE, "control_folder": QUEUE}


def rate(clicks, views):
    return clicks / views


@app.task(name="train.score")
def score(item):
    return rate(item["clicks"], item["views"])


def main():
    command = [sys.executable, "-m", "celery", "-A", "train", "worker", "-P", "prefork", "-c", "1", "-l", "CRITICAL"]
    worker = subprocess.Popen(command, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return score.delay({"clicks": 3, "views": 0}).get(timeout=60)
    finally:
        worker.terminate()
        worker.wait(30)


if __name__ == "__main__":
    main()

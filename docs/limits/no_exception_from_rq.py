"""RQ: a failed job raises nothing in the program that asks for its result.

Needs ``rq`` and ``fakeredis``.
"""

import fakeredis
from rq import Queue, SimpleWorker


def rate(clicks, views):
    return clicks / views


def main():
    redis = fakeredis.FakeStrictRedis()
    queue = Queue(connection=redis)
    job = queue.enqueue("operator.truediv", 1, 0)
    SimpleWorker([queue], connection=redis).work(burst=True, logging_level="CRITICAL")
    print("what the program gets:", job.return_value())
    print("what RQ keeps:", (job.latest_result().exc_string or "").strip().splitlines()[-1])


if __name__ == "__main__":
    main()

"""What is taken for granted of ``multiprocessing.pool`` beside the functions that are patched.

Flows in: the frames of a worker's loop, pools and their queues.  Flows out: what stands there, to ``worker``, ``recovery`` and
``waits``.
"""

from __future__ import annotations

from autotb.assumption import Attributes, Frame, Lost

POOL = Attributes("multiprocessing.pool", "Pool", "_inqueue", "_outqueue", "_pool", "_state", costs=Lost.WAITS)
SENDER = Attributes("multiprocessing.pool", "Pool", "_taskqueue", "_task_handler", "_cache", costs=Lost.WAITS)
THREADS = Attributes("multiprocessing.pool", "Pool", "_worker_handler", "_task_handler", "_result_handler", costs=Lost.WAITS)
QUEUE = Attributes("multiprocessing.queues", "SimpleQueue", "_reader", "_writer", "_rlock", "_wlock", costs=Lost.WAITS)
JOB = Attributes("multiprocessing.pool", "ApplyResult", "_job", "_pool", costs=Lost.WAITED)
TAKEN = Frame("multiprocessing.pool", "worker", "job", costs=Lost.WAITED)
LOOP = Frame("multiprocessing.pool", "worker", "func", "args", "kwds", costs=Lost.CALL)
contexts: list[str] = []  # modules of the TimeoutError of this package, and of those of the same make
ALL = (LOOP, TAKEN, JOB, POOL, SENDER, THREADS, QUEUE)

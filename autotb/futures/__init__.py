"""Futures that you hold: ``unwrap`` one, ``collect`` many; their failures told with the worker's story.

Flows in: futures of any engine, through ``instrument.future_handles``.  Flows out: values, the original errors, logs and files.
"""

from autotb import runtime

runtime.use()

"""Futures that you hold: ``unwrap`` one, ``collect`` many; their failures told with the worker's story.

Flows in: futures of any engine, through ``engines.handles``.  Flows out: values, the original errors, log records and files.
"""

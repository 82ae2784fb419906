"""What the engines' adapters are made of: patches, and the mechanisms that engines share.

Flows in: an engine's functions, as its adapter declares them.  Flows out: the same functions, which note next to
nothing on success, and put a record on an error.  Nothing here names an engine that could be absent.
"""

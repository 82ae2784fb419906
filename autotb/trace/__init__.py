"""From an exception to what a reader needs: ``build`` makes a :class:`~autotb.trace.model.Trace`, ``visible`` says which of its
frames are shown, ``parse_traceback`` reads a worker's traceback where text is all that arrived."""

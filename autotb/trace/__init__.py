"""From an exception to what a reader needs: ``build`` makes a :class:`~autotb.trace.model.Trace`, ``filter`` says which of its
frames are shown, ``text`` reads a worker's traceback where text is all that arrived."""

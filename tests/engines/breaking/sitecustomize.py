"""Stands for engines whose internals moved: with ``BREAK=module:name,…`` autotb finds no such names, with ``RAISE=1`` its own
functions raise wherever a wrapper calls them.  Put on ``PYTHONPATH`` by the tests, so that workers have it too."""

import os

if os.environ.get("AUTOTB") != "0" and ("BREAK" in os.environ or "RAISE" in os.environ):
    import autotb.instrument.patch as patch

    gone = set(os.environ.get("BREAK", "").split(","))
    wrap_target = patch._wrap_target

    def moved(entry):
        if f"{entry.patch.module}:{entry.patch.qualname}" in gone:
            raise AttributeError(f"{entry.patch.module} has no attribute {entry.patch.qualname}: it moved")
        wrap_target(entry)

    patch._wrap_target = moved

    if "RAISE" in os.environ:

        def broken(*args, **kwargs):
            raise RuntimeError("autotb's own function raised")

        def break_them():
            from autotb.instrument import engine_frames
            from autotb.record import annotate, build, callsite, pickling

            for module in (annotate, callsite, build, engine_frames, pickling):
                for name, value in list(vars(module).items()):
                    own = callable(value) and getattr(value, "__module__", "") == module.__name__
                    if own and not isinstance(value, type) and not name.startswith("_") and name not in LEFT:
                        setattr(module, name, broken)

        # What shows the driver's story of the text is not what is broken here.
        LEFT = {"opened_text", "headline_of", "named", "place_of", "decode", "line_of", "has_user_frame"}
        before = patch.after

        def after(adapter, name=""):
            before(adapter, name)
            break_them()

        patch.after = after

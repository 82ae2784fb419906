"""Stands for engines whose internals moved: with ``BREAK=module:name,…`` autotb finds no such functions, with ``MOVE=name,…`` (or
``*``) what it takes for granted of these functions and classes is called otherwise, with ``RAISE=1`` its own functions raise
wherever a wrapper calls them.  Put on ``PYTHONPATH`` by the tests, so that workers have it too."""

import os

if os.environ.get("AUTOTB") != "0" and "MOVE" in os.environ:
    from autotb import assumption

    wanted = os.environ["MOVE"].split(",")
    made = assumption.Assumption.__init__

    def moved_away(self, *args, **kwargs):
        made(self, *args, **kwargs)
        if "*" in wanted or self.qualname in wanted or self.module in wanted:
            if self.names:
                self.names = tuple(name + "_moved" for name in self.names)
            else:
                self.qualname += "_moved"

    def says_otherwise(self, module, pattern, *args, init=assumption.Text.__init__, **kwargs):
        init(self, module, pattern, *args, **kwargs)
        if self.names[0].endswith("_moved"):
            self.pattern = "(?!)"

    assumption.Assumption.__init__ = moved_away
    assumption.Text.__init__ = says_otherwise

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
            from autotb import assumption
            from autotb.instrument import engine_frames
            from autotb.record import annotate, build, callsite, pickling

            for module in (annotate, assumption, callsite, build, engine_frames, pickling):
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

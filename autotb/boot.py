"""What start-up runs: the opt-out, the excepthook and the import hook.

Flows in: the ``autotb.pth`` line, or ``autotb.install()``.  Flows out: a finder on ``sys.meta_path`` that steps aside for every
module but the engines'.  Kept small: every interpreter of the environment runs this, and ``import_hook`` has the rest.
"""

import os
import sys

OFF = ("0", "off", "false", "no")
started = False
told = False


def main():
    """Switch autotb on in this interpreter.  Harmless when called twice; does nothing under ``AUTOTB=0``."""
    global started
    if started or os.environ.get("AUTOTB", "").lower() in OFF:
        return
    started = True
    finder.path = tuple(sys.path)
    try:
        start()
    except Exception as error:
        report("start-up", error)


def start():
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = excepthook
    if finder not in sys.meta_path:
        sys.meta_path.insert(0, finder)


def report(where, error):
    """One line on stderr; where the file that knows how is missing, of the first error alone."""
    global told
    try:
        from autotb.runtime import report
    except Exception:
        if not told and sys.stderr is not None:
            told = True
            sys.stderr.write(f"autotb: {where} failed ({type(error).__name__}); Python goes on without it\n")
    else:
        report(where, error)


def excepthook(kind, value, traceback):
    """Show an uncaught exception, as autotb does or as Python does; Python's own display where that fails."""
    try:
        from autotb.uncaught import show
    except BaseException as error:
        runtime = sys.modules.get("autotb.runtime")
        (getattr(runtime, "displaced", None) or sys.__excepthook__)(kind, value, traceback)
        report("loading the renderer", error)
    else:
        show(kind, value, traceback)


class Finder:
    """A look-up of the module's name, and a step aside for every name that is neither an engine's nor ours."""

    triggers = None
    guard = None  # own_finder.find, once a module of ours is imported
    path = ()  # sys.path as start-up found it

    def find_spec(self, name, path=None, target=None, found=None):
        """``found``: what a finder that is asked before us has found."""
        spec = found
        if spec is None and (self.guard is not None or name.startswith("autotb.")):
            spec = self.find_ours(name, path)
        triggers = self.triggers
        if triggers is None:
            if name == "sitecustomize" or name == "usercustomize":
                return None  # looked for by every start-up: that alone must not cost the table
            triggers = self.read_triggers()
        if name in triggers:
            try:
                from autotb.import_hook import find
            except Exception as error:
                report("loading autotb.import_hook", error)
            else:
                return find(self, name, path, target, spec)
        return spec

    def find_ours(self, name, path):
        """The spec of what autotb imports for itself, which a file of the user's may not stand in for."""
        if self.guard is None:
            if name[7:] in EARLY:
                return near(name, path)
            from autotb.own_finder import find
            from autotb.runtime import begin  # handed on what start-up has set up: more of us is about to be loaded

            begin(self)
            self.guard = find
        return self.guard(self, name, path)

    def read_triggers(self):
        self.triggers = {}  # importing the table comes back here
        try:
            from autotb._triggers import TRIGGERS
        except Exception as error:
            report("reading the table of engines", error)
        else:
            self.triggers = TRIGGERS
        return self.triggers


def near(name, path):
    """The spec of a module of ours in a folder: nothing is looked through for it, which takes long where that is far away."""
    if type(__spec__.loader) is files.SourceFileLoader and path is not None and len(path) == 1:
        place = path[0] + os.sep + name.rpartition(".")[2]
        for file in (place + ".py", place + os.sep + "__init__.py"):
            try:
                stats = os.stat(file)
            except OSError:
                continue
            if stats.st_mode >> 12 == 8:  # a regular file
                loader = files.SourceFileLoader(name, file)
                loader.path_stats = {file: {"mtime": stats.st_mtime, "size": stats.st_size}}.__getitem__
                loader.get_data, loader.exec_module = read, run
                return files.spec_from_file_location(name, file, loader=loader)
    return None  # from an archive, or missing: a matter of the other finders


def read(path):
    """A file's bytes, with as few calls to the system as can be."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        data = more = os.read(file, 1 << 16)
        while more:
            more = os.read(file, 1 << 16)
            data += more
    finally:
        os.close(file)
    return data


def run(module):
    """Run a module that was found so; its loader is as any other by then."""
    loader = module.__spec__.loader
    code = loader.get_code(module.__name__)
    del loader.path_stats, loader.get_data, loader.exec_module
    exec(code, vars(module))


files = sys.modules["_frozen_importlib_external"]
# These import nothing that is not there already.
EARLY = (
    "_triggers",
    "boot",
    "first_use",
    "import_hook",
    "imports",
    "own_finder",
    "plain_errors",
    "project",
    "runtime",
    "uncaught",
)
finder = Finder()
finder.hook, finder.near = excepthook, near

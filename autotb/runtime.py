"""What one process knows of autotb itself: what start-up has set up, which hook stands behind ours, and what went wrong.

Flows in: start-up's finder, from whoever loads more of us first; hooks that are displaced; errors of our own.  Flows out: the
same, to every module; one line on stderr for each cause.  Nothing of ours is imported here.
"""

import sys

FOLDER = __file__[: -len("runtime.py")]
problems = []  # what went wrong inside autotb, for doctor
told = set()  # the causes of those that stderr was told: that files of ours are missing or empty is one
hook = sys.__excepthook__  # start-up's, once it has begun
finder = None  # start-up's, once it has begun
path = ()  # sys.path as start-up found it
displaced = None  # the hook that ours stands in front of, where that is not Python's own
used = False  # whether the program has taken a public name
asked = False  # whether the program asked for autotb (install, run), and did not come by it through the start-up file


def begin(ours):
    """What start-up's finder brings."""
    global finder, hook, path
    finder, hook, path = ours, ours.hook, ours.path


def pythons():
    """The hook that shows what is not ours to show, and stands in where we fail."""
    return displaced or sys.__excepthook__


def displace(other):
    """Stand in front of a hook; None: of Python's own."""
    global displaced
    displaced = None if other is sys.__excepthook__ else other


def use():
    """The program takes a public name."""
    global used
    used = True


def ask(wanted=True):
    """The program asks for autotb."""
    global asked
    asked = wanted


def report(where, error):
    """One line on stderr for each cause; errors of ours never become the program's."""
    try:
        problem = f"{type(error).__name__}: {error}"
        problems.append(f"{where}: {problem}")
        ours = str(getattr(error, "name", "")).startswith("autotb") or str(error).startswith("module 'autotb")
        cause = "files" if ours or str(getattr(error, "filename", "")).startswith(FOLDER) else problem
        if getattr(error, "errno", None) in (23, 24):
            cause = "descriptors"  # none is left, for whatever file is wanted
        if cause in told:
            return
        told.add(cause)
        line = f"autotb: {where} failed ({problem}); Python goes on without it"
        sys.stderr.write("".join([each if each.isprintable() else ascii(each)[1:-1] for each in line]) + "\n")
    except Exception:
        pass  # stderr may be None or closed: there is nobody left to tell

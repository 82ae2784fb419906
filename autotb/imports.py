"""What autotb's own code imports after start-up comes from the standard library, site-packages and this package alone.

A ``random.py`` beside the user's script must not run because something failed.  Our modules are loaded with an ``__import__`` of
their own (``own_finder``); while one of them runs, and ``with own``, the imports that this thread makes for us are looked up by
``aside``.  Other threads, and the user's code that runs in the midst of ours, import as ever.

Flows in: what our modules do.  Flows out: which thread imports for us at this moment, and which names are the user's.
"""

import _thread
import builtins
import sys

NEEDED = {"rich", "pygments", "markdown_it", "mdurl", "commonmark", "typing_extensions", "exceptiongroup", "tomli"}
busy = {}  # by thread: what it imports for us at this moment
users = set()  # names of what we need that are the program's own modules: ours are loaded aside then
real = builtins.__import__
names = {**vars(builtins)}  # the builtins of our modules, with the import of ``own_finder``


class Session:
    """What one thread imports for us: how often it entered, the names, and whether one of them is a name of the user's too."""

    __slots__ = ("depth", "names", "tainted")

    def __init__(self):
        self.depth, self.names, self.tainted = 0, [], False

    def forget(self):
        """What was loaded together with a module that is the user's elsewhere is not there for the program."""
        for name in self.names:
            if name not in sys.builtin_module_names:
                sys.modules.pop(name, None)


class Own:
    """``with own:`` what this thread imports is for us, but where the user's code does it."""

    def __enter__(self):
        thread = _thread.get_ident()
        session = busy.get(thread)
        if session is None:
            session = busy[thread] = Session()
        session.depth += 1

    def __exit__(self, *error):
        thread = _thread.get_ident()
        session = busy.get(thread)
        if session is not None:
            session.depth -= 1
            if session.depth <= 0:
                del busy[thread]
                if session.tainted:
                    session.forget()


own = Own()


def is_the_users(name):
    """Whether a name that we need is one of the program's own modules, loaded or not."""
    return name in users

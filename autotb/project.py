"""Where the program's project keeps its settings.

Flows in: the main script.  Flows out: the path of a pyproject.toml, which ``settings`` reads.
"""

import os
import sys


def project_file() -> str | None:
    """The nearest pyproject.toml upward from the main script's folder; the current one for ``-c``, ``-m`` and notebooks."""
    if sys.flags.ignore_environment or sys.flags.isolated:
        return None
    main = sys.modules.get("__main__")
    names = main.__dict__ if type(main) is type(sys) else {}  # one of another make may answer as it likes
    script = names.get("__file__") if names.get("__spec__") is None else None
    try:
        folder = os.path.dirname(os.path.abspath(script)) if isinstance(script, str) and script else os.getcwd()
    except OSError:  # the current folder was removed
        return None
    while True:
        path = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent

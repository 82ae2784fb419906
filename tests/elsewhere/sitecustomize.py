"""Stands for a system like Windows: no ``fork``, no ``/proc`` and ``/sys``, no ``os.readv`` and users' numbers, no ``fcntl`` and
``resource``.  Put on ``PYTHONPATH`` by the tests, so that workers have it too; the name of the system stays, for Python's own sake."""

import os
import sys

for name in (
    "fork",
    "forkpty",
    "register_at_fork",
    "readv",
    "preadv",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "sched_getaffinity",
):
    if hasattr(os, name):
        delattr(os, name)
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty"):
    sys.modules[name] = None


def is_gone(path):
    return type(path) is str and path.startswith(("/proc/", "/sys/"))


def missing(function):
    def found(path, *args, **kwargs):
        if is_gone(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        return function(path, *args, **kwargs)

    return found


for name in ("stat", "lstat", "listdir", "scandir", "readlink", "access"):
    setattr(os, name, missing(getattr(os, name)))
sys.addaudithook(lambda event, args: missing(id)(args[0]) if event == "open" else None)

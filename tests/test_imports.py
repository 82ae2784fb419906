"""What autotb imports is never the user's: files of his that are named like our modules run as often as without us."""

from __future__ import annotations

import sys

import pytest

from tests import programs, shadowing

ALL = [("rich", kind) for kind in shadowing.PROGRAMS] + [("plain", "plain"), ("json", "plain"), ("plain", "thread")]
NAMES = [name for name in shadowing.NAMES if name not in ("rich", "threading")]  # with those of the user's, it is drawn otherwise


@pytest.mark.parametrize("style, kind", ALL)
def test_a_file_for_every_name_runs_as_often_as_without_us(tmp_path, style, kind):
    (tmp_path / "main_program.py").write_text(shadowing.PROGRAMS[kind])
    shadowing.beside(tmp_path, NAMES, shadowing.STAND_IN)

    assert shadowing.differs(tmp_path, "main_program.py", **shadowing.STYLES[style]) == ""


@pytest.mark.parametrize("kind", shadowing.PROGRAMS)
def test_files_that_end_the_program_do_not_run(tmp_path, kind):
    (tmp_path / "main_program.py").write_text(shadowing.PROGRAMS[kind])
    shadowing.beside(tmp_path, NAMES, shadowing.STAND_IN)
    _, used, _ = shadowing.run(tmp_path, "main_program.py", autotb="0")
    shadowing.beside(tmp_path, [name for name in NAMES if name not in used], shadowing.ENDS_ALL)

    assert shadowing.differs(tmp_path, "main_program.py", **shadowing.STYLES["rich"]) == ""


def test_a_rich_of_the_users_on_pythonpath_is_not_loaded(tmp_path):
    (tmp_path / "main_program.py").write_text(shadowing.PROGRAMS["futures"])
    (tmp_path / "theirs" / "rich").mkdir(parents=True)
    (tmp_path / "theirs" / "rich" / "__init__.py").write_text("raise SystemExit(0)\n")

    assert shadowing.differs(tmp_path, "main_program.py", AUTOTB_STYLE="plain", PYTHONPATH=str(tmp_path / "theirs")) == ""
    ran = programs.start([sys.executable, "main_program.py"], tmp_path, PYTHONPATH=str(tmp_path / "theirs"))
    assert ran.lines[0] == "Traceback (most recent call last):"
    assert ran.last == "ZeroDivisionError: division by zero"


LATER = """
import atexit, sys

def later():
    before = set(sys.modules)
    import copy, random
    print(copy.__file__, random.__file__, sorted(name for name in before if name in ("copy", "random", "inspect", "rich")))

atexit.register(later)
1 / 0
"""


def test_a_file_of_the_users_is_what_the_program_imports_after_the_drawing(tmp_path):
    (tmp_path / "main_program.py").write_text(LATER)
    for name in ("copy", "random"):
        (tmp_path / f"{name}.py").write_text("import sys\nprint(__name__, 'runs')\n")

    ran = programs.start([sys.executable, "main_program.py"], tmp_path, AUTOTB_STYLE="rich")
    bare = programs.start([sys.executable, "main_program.py"], tmp_path, autotb="0")

    assert "╭" in ran.stderr
    assert (
        ran.stdout.rpartition(" [")[0] == bare.stdout.rpartition(" [")[0]
    )  # from 3.14 on Python's own display leaves more behind
    assert ran.stdout.startswith(f"copy runs\nrandom runs\n{tmp_path}/copy.py {tmp_path}/random.py []")


WHILE = """
import sys, threading

def slow(event, given):
    if event == "import" and given[0].startswith("autotb.render"):  # in the midst of the drawing; no lock is held here
        drawing.set()
        assert imported.wait(60)

drawing, imported = threading.Event(), threading.Event()
sys.addaudithook(slow)
t = threading.Thread(target=lambda: 1 / 0)
t.start()
assert drawing.wait(20)
import random, mine
imported.set()
t.join()
print(random.WHOSE, mine.WHOSE)
"""


def test_another_thread_imports_its_own_while_an_error_is_drawn(tmp_path):
    (tmp_path / "main_program.py").write_text(WHILE)
    for name in ("random", "mine"):
        (tmp_path / f"{name}.py").write_text("WHOSE = 'the user'\n")

    ran = programs.start([sys.executable, "main_program.py"], tmp_path, AUTOTB_STYLE="rich")

    assert ran.stdout == "the user the user\n"
    assert "╭" in ran.stderr


def test_the_users_code_imports_what_it_wants_in_the_midst_of_the_drawing(run):
    ran = run(
        """
        import sys
        sys.path.insert(0, sys.path[0] + "/more")

        class Failed(Exception):
            def __str__(self):
                import theirs, random
                return theirs.TEXT + random.TEXT

        import os
        os.mkdir(sys.path[0])
        for name in ("theirs", "random"):
            with open(f"{sys.path[0]}/{name}.py", "w") as file:
                file.write(f"TEXT = 'of {name} '")
        raise Failed
        """,
        AUTOTB_STYLE="rich",
    )

    assert ran.last == "Failed: of theirs of random "
    assert "╭" in ran.stderr


@pytest.mark.parametrize("name", ["random", "copy", "types", "typing", "inspect", "bisect", "dataclasses", "enum"])
def test_the_script_itself_runs_once(name):
    assert shadowing.alone(name, "plain") == ""


FULL = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
{before}
held = []
while True:
    try:
        held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        break
{then}
"""
ENDS = {
    "the program": ("", "open('x')"),
    "a thread": ("import threading", "t = threading.Thread(target=open, args=('x',)); t.start(); t.join()"),
    "a thread pool": (
        "from concurrent.futures import ThreadPoolExecutor as Pool, wait",
        "f = Pool(1).submit(open, 'x'); wait([f]); f.result()",
    ),
    "an import": ("", "import colorsys"),
}


@pytest.mark.parametrize("where", ENDS)
@pytest.mark.parametrize("style", ["rich", ""])
def test_out_of_file_descriptors_it_is_pythons_text_and_one_line(tmp_path, where, style):
    before, then = ENDS[where]
    (tmp_path / "main_program.py").write_text(FULL.format(before=before, then=then))
    more = {"AUTOTB_STYLE": style} if style else {}
    ran = programs.start([sys.executable, "main_program.py"], tmp_path, **more)
    bare = programs.start([sys.executable, "main_program.py"], tmp_path, autotb="0")

    assert ran.status == bare.status
    if "╭" in ran.stderr:
        assert ran.last.startswith("OSError: [Errno 24] Too many open files")
        return
    ours = [line for line in ran.lines if line.startswith("autotb: ")]
    assert len(ours) <= 1
    # Before 3.11 a frame of what stands in for `result` stays in its traceback.
    kept = [line for line in ran.lines if sys.version_info >= (3, 11) or not line.endswith("in <autotb>")]
    assert [line for line in kept if line not in ours] == bare.lines

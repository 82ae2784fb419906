"""``python -m autotb run``: as under plain Python, in everything that a program can see."""

from __future__ import annotations

import sys

import pytest

from autotb.cli import demo, triggers
from tests import programs
from tests.engines.declared import engines

RUN = [sys.executable, "-m", "autotb", "run"]
FACTS = """
import os, pickle, sys

class Thing:
    pass

import __main__
print(sys.argv, os.path.basename(sys.orig_argv[-1]), len(sys.orig_argv))
print(__name__, os.path.basename(globals().get("__file__", "")), __spec__ and __spec__.name, __package__, sys.path[0])
print(__main__.Thing is Thing, sys.modules["__main__"].__dict__ is globals())
print(type(pickle.loads(pickle.dumps(Thing()))) is Thing, globals().get("__cached__"), __doc__)
"""


def test_a_script_sees_what_it_sees_under_python(run):
    ours = run(FACTS, "a", "-b", "--help", command=RUN)
    bare = run(FACTS, "a", "-b", "--help")

    assert ours.stdout == bare.stdout
    assert ours.stderr == bare.stderr == ""


def test_a_module_sees_what_it_sees_under_python(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "tool.py").write_text(FACTS)

    ours = programs.start([*RUN, "-m", "package.tool", "x"], tmp_path)
    bare = programs.start([sys.executable, "-m", "package.tool", "x"], tmp_path)

    assert ours.stdout == bare.stdout, ours.stderr
    assert ours.status == bare.status == 0


def test_code_sees_what_it_sees_under_python(tmp_path):
    ours = programs.start([*RUN, "-c", FACTS, "x"], tmp_path)
    bare = programs.start([sys.executable, "-c", FACTS, "x"], tmp_path)

    assert ours.stdout == bare.stdout, ours.stderr


@pytest.mark.parametrize(
    "code, status",
    [
        ("pass", 0),
        ("raise SystemExit(4)", 4),
        ("raise SystemExit('x')", 1),
        ("1 / 0", 1),
        ("raise KeyboardInterrupt", -2),
        ("import os; os._exit(7)", 7),
    ],
)
def test_statuses(run, code, status):
    assert run(code + "\n", command=RUN).status == run(code + "\n").status == status


@pytest.mark.parametrize("autotb", ["0", "1"])
def test_no_frame_of_ours_is_in_the_traceback(run, autotb):
    code = "import sys\nhook = sys.excepthook\n\n\ndef f():\n    1 / 0\n\n\nf()\n"
    ours = run(code, command=RUN, autotb=autotb, AUTOTB_STYLE="rich")
    bare = run(code, autotb=autotb, AUTOTB_STYLE="rich")

    assert ours.stderr == bare.stderr


def test_spawned_workers_find_the_main_module(run):
    ran = run(
        """
        import multiprocessing as mp

        class Error(Exception):
            pass

        def work(x):
            raise Error(x)

        if __name__ == "__main__":
            with mp.get_context("spawn").Pool(1) as pool:
                pool.map(work, [1])
        """,
        command=RUN,
    )

    assert ran.last == "Error: 1"
    assert [head.partition(" in ")[2] for head in ran.heads] == ["<module>", "work"]


def test_a_syntax_error_of_the_script(run):
    ours, bare = run("a b\n", command=RUN, autotb="0"), run("a b\n", autotb="0")

    assert ours.stderr == bare.stderr
    assert ours.status == bare.status == 1


def test_a_script_that_is_not_there(tmp_path):
    ours = programs.start([*RUN, "missing.py"], tmp_path)
    bare = programs.start([sys.executable, "missing.py"], tmp_path)

    assert ours.status == bare.status == 2
    assert ours.stderr == bare.stderr


@pytest.mark.parametrize(
    "arguments, status", [(["run"], 2), (["run", "-m"], 2), (["run", "--help"], 0), ([], 2), (["nothing"], 2), (["--version"], 0)]
)
def test_usage(tmp_path, arguments, status):
    ran = programs.start([sys.executable, "-m", "autotb", *arguments], tmp_path)

    assert ran.status == status
    assert "autotb" in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_where_no_start_up_file_runs_children_are_covered_too(tmp_path):
    """``pip install --target``: the folder is on the path, its .pth never runs; the user's own sitecustomize does."""
    import shutil
    from pathlib import Path

    import rich

    import autotb

    target = tmp_path / "target"
    for package in (autotb, rich):
        shutil.copytree(Path(package.__file__).parent, target / package.__name__)
    for name in ("markdown_it", "mdurl", "pygments"):
        module = __import__(name)
        shutil.copytree(Path(module.__file__).parent, target / name)
    (target / "sitecustomize.py").write_text("import os\nos.environ['MINE'] = os.environ.get('MINE', '') + 'x'\n")
    script = tmp_path / "main.py"
    script.write_text(
        "import multiprocessing as mp, os\n\n\ndef work(x):\n    return 1 / x\n\n\nif __name__ == '__main__':\n"
        "    print(os.environ['MINE'])\n    with mp.get_context('spawn').Pool(1) as pool:\n        pool.map(work, [0])\n"
    )
    python = [sys._base_executable, "-m", "autotb", "run", str(script)]

    ran = programs.start(python, tmp_path, PYTHONPATH=str(target))

    assert ran.stdout == "x\n"
    assert "in a pool worker" in ran.stderr, ran.stderr
    assert "work(x=0)" in ran.stderr


def test_the_demo(tmp_path):
    ran = programs.start([sys.executable, "-m", "autotb", "demo"], tmp_path)

    first, second = ran.stderr.split("╭", 1)
    assert "_RemoteTraceback" in first
    assert "in a process-pool worker" in second
    assert "score(item={'id': 217, 'clicks': 0, 'views': 0})" in second
    assert ran.status == 0
    assert "Python shows it so:" in ran.stdout


def demos_of_this_python():
    for name, option, _ in demo.scripts():
        engine = engines()[name]
        if (engine.heavy and sys.version_info[:2] != (3, 11)) or sys.version_info < engine.since:
            continue
        if option != "processes":  # that is the one above
            marks = [
                *([programs.needs(engine.needs)] if engine.needs else []),
                *([pytest.mark.not_in_ci()] if engine.costly else []),
            ]
            yield pytest.param(option, engine.environment, marks=marks, id=option)


@pytest.mark.parametrize(("engine", "environment"), list(demos_of_this_python()))
def test_the_demo_of_every_engine(tmp_path, engine, environment):
    ran = programs.start([sys.executable, "-m", "autotb", "demo", "--engine", engine], tmp_path, **environment)

    assert "ZeroDivisionError: division by zero" in ran.stderr.split("╭", 1)[1]
    assert ran.status == 0


def test_every_adapter_has_a_demo():
    engines = {name.rpartition(".")[2] for name in triggers.adapters() if ".engines." in name}

    assert {name for name, _, _ in demo.scripts()} == engines


def test_the_demo_of_an_engine_that_is_not_known(tmp_path):
    ran = programs.start([sys.executable, "-m", "autotb", "demo", "--engine", "x"], tmp_path)

    assert ran.status == 2
    assert "there are anyio, asyncio, celery, dask," in ran.stderr


@pytest.mark.behaviour("S0-38")
def test_a_noise_setting_is_set_before_the_engine_unless_the_user_has_set_it(tmp_path):
    code = """
import os, sys, types
from autotb.instrument import patch
adapter = types.ModuleType("adapter")
adapter.NOISE = {"QUIET_A": "1", "QUIET_B": "1"}
adapter.PATCHES = ()
patch.before(adapter)
print(os.environ.get("QUIET_A"), os.environ.get("QUIET_B"), patch.noise)
"""
    assert programs.run(tmp_path, code, QUIET_B="mine").stdout == "1 mine {'QUIET_A': '1'}\n"
    assert programs.run(tmp_path, code, AUTOTB_NOISE="keep").stdout == "None None {}\n"

"""``AUTOTB_KEEP_INPUTS=1`` keeps the calls that failed, and ``rerun`` calls one again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import programs

PROGRAM = """
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

def work(x, data):
    size = len(data)
    return size / x

if __name__ == "__main__":
    kind = ThreadPoolExecutor if sys.argv[1] == "threads" else ProcessPoolExecutor
    with kind(1) as pool:
        pool.submit(work, 0, data=[1, 2, 3]).result()
"""


def rerun(folder, *arguments, stdin=None):
    return subprocess.run(
        [sys.executable, "-m", "autotb", "rerun", *map(str, arguments)],
        cwd=folder,
        env=programs.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        input=stdin,
    )


@pytest.fixture(params=["processes", "threads"])
def kept(request, tmp_path) -> Path:
    """The folder of a run that failed."""
    ran = programs.run(tmp_path, PROGRAM, request.param, AUTOTB_DIR="kept", AUTOTB_KEEP_INPUTS="1")
    assert "call it again: python -m autotb rerun" in ran.stderr
    return tmp_path / "kept"


def files(folder: Path) -> tuple[Path, Path]:
    return next(folder.glob("*.json")), next(folder.glob("*.inputs"))


@pytest.mark.behaviour("S1-48")
def test_a_story_or_its_inputs_are_called_again(kept, tmp_path):
    for file in files(kept):
        assert file.stat().st_mode & 0o777 == 0o600
        ran = rerun(tmp_path, file)
        assert ran.returncode == 1, ran.stderr
        lines = ran.stdout.splitlines()
        assert lines[-1] == "ZeroDivisionError: division by zero"
        assert "❱     return size / x" in ran.stdout


def test_a_mended_function_returns(kept, tmp_path):
    script = tmp_path / "main.py"
    script.write_text(script.read_text().replace("return size / x", "return size"))
    ran = rerun(tmp_path, files(kept)[0])
    assert (ran.returncode, ran.stdout) == (0, "3\n")


def test_the_debugger_stops_where_it_was_raised(kept, tmp_path):
    ran = rerun(tmp_path, files(kept)[0], "--pdb", stdin="p size, x\nq\n")
    assert "(3, 0)" in ran.stdout


def test_a_file_that_others_could_have_written_is_refused(kept, tmp_path):
    inputs = files(kept)[1]
    inputs.chmod(0o666)
    for file in files(kept):
        ran = rerun(tmp_path, file)
        assert ran.returncode == 2
        assert "others could have written" in ran.stderr
        assert "--trust" in ran.stderr
        assert len(ran.stderr.splitlines()) == 1
    assert rerun(tmp_path, inputs, "--trust").returncode == 1
    inputs.chmod(0o600)
    kept.chmod(0o777)
    assert rerun(tmp_path, inputs).returncode == 2


def test_show_names_the_inputs_and_never_unpickles(kept, tmp_path):
    story, inputs = files(kept)
    inputs.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    ran = subprocess.run(
        [sys.executable, "-m", "autotb", "show", str(story)],
        cwd=tmp_path,
        env=programs.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0
    assert "call it again: python -m autotb rerun" in ran.stdout
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "these are no inputs"),
        (b"nonsense", "these are no inputs"),
        (b"\x80\x04}.", "these are no inputs"),
        (b"{", "it is not JSON"),
        (b"{}", "it names no inputs"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_none_is_one_line(tmp_path, content, says):
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
        os.chmod(file, 0o600)
    tmp_path.chmod(0o700)
    ran = rerun(tmp_path, file)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_nothing_is_kept_unasked(tmp_path):
    programs.run(tmp_path, PROGRAM, "processes", AUTOTB_DIR="kept")
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".json"]


FLOW = """
import autotb

def work(x, y):
    return y / x

if __name__ == "__main__":
    flow = autotb.Flow("processes", run_folder="run", error_handling="continue", return_results=False, progress=False)
    flow.map(work, [1, 0], y=5)
    flow.run()
"""


def test_a_call_of_a_run_folder_is_made_again(tmp_path):
    (tmp_path / "main.py").write_text(FLOW)
    programs.start([sys.executable, "main.py"], tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    ran = rerun(elsewhere, "../run", "work", 1)
    assert ran.returncode == 1, ran.stderr
    assert "ZeroDivisionError: division by zero" in ran.stdout
    assert "return y / x" in ran.stdout
    debugged = rerun(elsewhere, "../run", "work", 1, "--pdb", stdin="p y\nq\n")
    assert "(Pdb) 5" in debugged.stdout
    (tmp_path / "main.py").write_text(FLOW.replace("y / x", "x - y"))
    mended = rerun(elsewhere, "../run", "work", 1)
    assert (mended.returncode, mended.stdout) == (0, "-5\n")


def is_refused(folder, code, arguments, says):
    """A run of that flow, of which these arguments name no call that failed."""
    (folder / "main.py").write_text(code)
    programs.start([sys.executable, "main.py"], folder)

    ran = rerun(folder, "run", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert says in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "it is a run folder: name the step and the number of its element"),
        (("work", 0), "element 0 of step 'work' is no call that failed (it gave a value); show --failed lists those that did"),
        (("work",), "element 0 of step 'work' is no call that failed"),
        (("work", 7), "step 'work' has no element 7: it has 2\n"),
        (("work", -1), "step 'work' has no element -1: it has 2\n"),
        (("work", 1, 0), "step 'work' has no element 1, 0: it has 2\n"),
        (("work", "one"), "one is no number of an element, nor its index along each axis"),
        (("other", 0), "it has no step 'other', or none that has begun; there are 'work'"),
    ],
)
def test_what_is_no_call_that_failed_is_told(tmp_path, arguments, says):
    is_refused(tmp_path, FLOW, arguments, says)


ARRAY = """
import autotb

def fit(depth, fold):
    return depth / fold, depth * 10 + fold

def mean(values):
    return sum(values)

if __name__ == "__main__":
    flow = autotb.Flow(run_folder="run", error_handling="continue", progress=False)
    quotients, _ = flow.map(fit, [5, 6, 7], [1, 0], product=True, outputs=2)
    flow.map(mean, quotients, over=1)
    flow.run()
"""


@pytest.mark.parametrize("given", [(5,), (2, 1), ("2,1",), ("(2, 1)",), ("(2,", "1)")])
@pytest.mark.parametrize("step", ["fit", "fit[0]"])
def test_an_element_of_an_array_is_named_by_its_number_or_by_its_index(tmp_path, given, step):
    (tmp_path / "main.py").write_text(ARRAY)
    programs.start([sys.executable, "main.py"], tmp_path)

    listed = programs.start([sys.executable, "-m", "autotb", "show", "--failed", "run"], tmp_path).stdout
    assert "\n  fit 5 (2, 1): fit(depth=7, fold=0)\n" in listed
    (tmp_path / "main.py").write_text(ARRAY.replace("depth / fold", "depth + fold"))
    ran = rerun(tmp_path, "run", step, *given)
    assert (ran.returncode, ran.stdout) == (0, "(7, 70)\n"), ran.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("fit", 2, 2), "step 'fit' has no element 2, 2: it has 6, its shape is (3, 2)"),
        (("fit", 6), "step 'fit' has no element 6: it has 6, its shape is (3, 2)"),
        (("fit[0]", 0), "element 0 of step 'fit' is no call that failed (it gave a value)"),
        (("fit#2[0]", 0), "it has no step 'fit#2[0]', or none that has begun; there are 'fit', 'mean'"),
        (("mean", 1), "element 1 of step 'mean' is no call that failed (it was skipped)"),
    ],
)
def test_what_is_no_such_element_of_an_array_is_told(tmp_path, arguments, says):
    is_refused(tmp_path, ARRAY, arguments, says)


def test_a_script_that_cannot_be_imported_is_told(tmp_path):
    (tmp_path / "main.py").write_text(FLOW.replace("if __name__", "if True or __name__"))
    programs.start([sys.executable, "main.py"], tmp_path)

    ran = rerun(tmp_path, "run", "work", 1)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
    assert "main.py, which is imported for its functions, raised FileExistsError: " in ran.stderr
    assert ran.stderr.endswith('belongs under if __name__ == "__main__":\n')


def test_a_run_folder_that_others_could_have_written_is_refused(tmp_path):
    (tmp_path / "main.py").write_text(FLOW)
    programs.start([sys.executable, "main.py"], tmp_path)
    (tmp_path / "run" / "index.sqlite").chmod(0o666)

    assert "others could have written" in rerun(tmp_path, "run", "work", 1).stderr
    assert rerun(tmp_path, "run", "work", 1, "--trust").returncode == 1

"""The README and the documents: their examples run, their tables are the program's own, what they promise is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import programs

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FUTURES = (ROOT / "docs" / "futures.md").read_text(encoding="utf-8")
TRIP = (ROOT / "docs" / "trip.md").read_text(encoding="utf-8")


def example(name, text=README):
    return re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", text, re.S)[1]


def test_the_program_of_the_readme_fails_as_it_says(run):
    ran = run(example("program"))

    assert [head.partition(" in ")[2] for head in ran.heads][-2:] == ["score", "ratio"]
    assert "score(item={'clicks': 3, 'views': 0})" in ran.stderr
    assert ran.last == "ZeroDivisionError: division by zero"


def test_explain(run):
    ran = run(example("explain", FUTURES))

    assert ran.stdout == "ValueError: invalid literal for int() with base 10: 'x1'\n"


def test_what_is_generated_is_fresh():
    from tests import generated

    made = dict(generated.files())

    assert [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text] == []
    assert {"_triggers.py", "README.md", "engines.md", "settings.md", "record.md", "pyproject.toml"} <= {
        path.name for path in made
    }


def test_the_readme_is_read_in_one_sitting():
    assert len(README.splitlines()) <= 150


def test_the_start_up_line_is_printed_whole():
    assert (ROOT / "autotb.pth").read_text().rstrip("\n") in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


@pytest.mark.behaviour("S1-58", "S1-59")
def test_what_survives_and_what_is_lost_is_told():
    for words in ("source lines", "exception type and message", "chains", "local variables", "frames, with file, line"):
        assert words in TRIP
    for words in ("worker_logdir_root", "environment variables", "stdout and stderr", "imports your module"):
        assert words in TRIP


@pytest.mark.behaviour("S1-60")
def test_the_way_of_an_error_is_told_in_four_stages():
    assert re.findall(r"^(\d)\. \*\*(.+?)\.\*\*", TRIP, re.M) == [
        ("1", "Raised in the worker"),
        ("2", "Pickled to the main process"),
        ("3", "Wrapped by the engine"),
        ("4", "Raised again where you ask for the result"),
    ]


def test_the_picture_is_there_and_asks_no_server():
    picture = (ROOT / "docs" / "picture.svg").read_text(encoding="utf-8")

    assert "submitted" in picture
    assert "@font-face" not in picture


@programs.needs("valgrind")
@pytest.mark.behaviour("S0-41")
@pytest.mark.on_main()
def test_start_up_stays_within_its_budgets():
    """Instructions counted by callgrind: the same on every machine, whatever else it does."""
    benchmark("startup", timeout=280)


def benchmark(name, *arguments, timeout):
    """What one of the benchmarks prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=programs.environment("0"),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_million_calls_in_every_tool_is_a_table():
    tools = ["executor.map", "autotb.Flow, kept in a folder", "the same, resumed"]
    lines = benchmark("million", "2,000", *tools, timeout=120).splitlines()
    assert [line[:32].strip() for line in lines[1:]] == tools
    assert [re.search(r"[\d,]+ files", line) is not None for line in lines[1:]] == [False, True, True]


def test_the_house_is_drawn_as_it_is():
    from tests.test_architecture import FLOORS

    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("<!-- floors -->")[2].partition("\n\n")[0]
    drawn = [name for row in page.splitlines()[3:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    floors = [room for rooms in FLOORS for room in rooms]

    assert set(floors) - set(drawn) == {"_triggers", "frozen"}
    height = {room: at for at, rooms in enumerate(FLOORS) for room in rooms}
    assert [height[name] for name in drawn] == sorted(height[name] for name in drawn)


def test_the_picture_of_the_house_is_the_codes():
    from tests import house

    assert house.PICTURE.read_text(encoding="utf-8") == house.picture(), "draw it again: python -m tests.house"


def test_the_walk_of_an_exception_is_as_it_is_told(run):
    """Each stage that docs/architecture.md shows, in a real run."""
    ran = run(
        """
        import json
        from concurrent.futures import ProcessPoolExecutor, wait
        from autotb.trace import build

        def ratio(clicks, views):
            return clicks / views

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                future = pool.submit(ratio, 3, 0)
                print(type(future._autotb_site[0]).__name__, len(future._autotb_site))
                wait([future])
                hop = future.exception().__autotb__["hops"][0]
                print(*sorted(hop))
                print(*[frame["kind"] + ":" + frame["name"] for frame in hop["frames"]])
                try:
                    future.result()
                except ZeroDivisionError as error:
                    hops = build.build(error).stack.hops
                    print(*[" ".join(frame.name for frame in hop.frames if frame.name != "<autotb>") for hop in hops], sep=" | ")
        """
    )

    assert ran.stdout.splitlines() == [
        "code 4",
        "call engine frames host pid submitted versions where",
        "engine:_process_worker user:ratio",
        "<module> result __get_result | _process_worker ratio",
    ]


def test_a_record_is_described_as_it_is():
    from autotb import render
    from autotb.trace import build

    page = (ROOT / "docs" / "record.md").read_text(encoding="utf-8")
    example = json.loads(re.search(r"```json\n(.*?)```", page, re.S)[1])

    assert "ratio(clicks=3, views=0)" in render.as_text(build.from_tree(example))


def test_imports_go_down_only():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=programs.environment("0"),
    )

    assert done.returncode == 0, done.stdout


def test_collect(run):
    ran = run(example("collect", FUTURES))
    shown = re.search(r"<!-- example: collect -->.*?```text\n(.*?)```", FUTURES, re.S)[1]

    assert ran.stdout == ("{'run 2': (5, 0), 'run 5': (2, 0)}\nrun 0 - ZeroDivisionError: integer division or modulo by zero\n")
    # The number counts completions: threads may finish in another order.
    assert re.sub(r"\[\d/3\]", "[2/3]", ran.stderr) == shown


@pytest.mark.behaviour("S1-62")
def test_before_and_after(tmp_path):
    workflow = re.search(r"<!-- example: workflow -->\n```python\n(.*?)```", FUTURES, re.S)[1]
    before, after = (programs.run(tmp_path, workflow, autotb=on, name="workflow.py", timeout=200) for on in ("0", "1"))
    opaque = re.search(r"Before, its last lines are:\n\n```text\n(.*?)```", FUTURES, re.S)[1]

    assert before.stderr.endswith(opaque)
    assert "workflow.py:13 in score" in after.stderr
    assert after.last == "ZeroDivisionError: division by zero"
    reported = programs.run(
        tmp_path,
        workflow.replace("result.result()", 'autotb.unwrap(result, "total")').replace(
            "import parsl\n", "import autotb\nimport parsl\n", 1
        ),
        timeout=200,
    )
    report = re.search(r"```text\n(\[total\].*?)```", FUTURES, re.S)[1]
    for line in report.split("\n"):
        if "…" not in line and "workflow.py" not in line:
            assert line in reported.stderr


@pytest.mark.behaviour("S1-61")
def test_the_steps_of_adoption():
    steps = FUTURES.partition("## How to adopt it")[2]

    assert re.findall(r"^(\d)\.", steps, re.M) == list("123456")
    for words in ("logger", "Find all calls of `.result()`", "unwrap(future, name)", "broken on purpose", "worker_logdir_root"):
        assert words in steps


ERRORS = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def _of_errors(name):
    found = re.search(rf"<!-- example: {re.escape(name)} -->\n```python\n(.*?)```\n\n```text\n(.*?)```", ERRORS, re.S)
    return found.groups()


@pytest.mark.behaviour("S2-66")
@pytest.mark.parametrize("name", ["flow.py", "stream.py", "drop.py", "folder.py", "loud.py", "axis.py"])
def test_errors_as_values(run, name):
    code, shown = _of_errors(name)
    ran = run(code)

    assert ran.stdout == shown, ran.stderr
    for words in (
        "input_is_error",
        "array_contains_errors",
        "## Root causes are read when you ask",
        "## What is loud in both modes",
    ):
        assert words in ERRORS


def test_a_pipeline_that_is_killed_and_started_again(run, tmp_path):
    code, shown = _of_errors("etl.py")
    (tmp_path / "raw").mkdir()
    for at in range(1_000):
        value = {100: "n/a", 200: -1}.get(at, at % 10)
        (tmp_path / "raw" / f"{at:04}.csv").write_text(f"station,value\na,{value}\n")
    killed = code.replace("return_results=False)", "return_results=False, progress=stops)")
    killed = killed.replace('if __name__ == "__main__":', STOPS)
    # The last hundredth of a second is lost: few of calls that take a while.
    killed = killed.replace("    target = pathlib", '    __import__("time").sleep(0.002)\n    target = pathlib')
    assert run(killed).status == -9
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "clean").iterdir()}
    assert 0 < len(written) < 998
    ran = run(code)

    assert ran.stdout == shown, ran.stderr
    kept = [name for name, at in written.items() if (tmp_path / "clean" / name).stat().st_mtime_ns == at]
    assert len(kept) > len(written) / 2  # those whose calls were being made at that moment are made again
    (tmp_path / "raw" / "0100.csv").write_text("station,value\na,1\n")
    ran = run(code.replace("resume=True", "resume=True, retry_failed=True"))
    assert ran.stdout.startswith("999 files, from 0.0 to 9.0\n<ErrorSnapshot of mean(rows=[])"), ran.stderr


def test_a_sweep_with_a_picture(run, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    code, shown = _of_errors("sweep.py")
    ran = run(code)

    assert ran.stdout == shown, ran.stderr
    assert (tmp_path / "sweep.svg").read_text(encoding="utf-8").count("rate 0.") == 3
    assert run(code).stdout == shown  # it is resumed


STOPS = """
def stops(done, failed, skipped, total):
    import os, signal

    if len(os.listdir("clean")) > 200:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":"""


def test_the_flow_of_the_readme(run):
    shown = re.search(r"<!-- example: flow -->.*?```text\n(.*?)```", README, re.S)[1]
    ran = run(example("flow"))

    assert ran.stdout == shown, ran.stderr


WORKERS = (ROOT / "docs" / "workers.md").read_text(encoding="utf-8")


@pytest.mark.on_main()
@pytest.mark.behaviour("S1-41", "S1-42")
def test_the_workers_logs_of_the_yaml_file(tmp_path):
    found = {
        name: re.search(rf"<!-- example: {re.escape(name)} -->\n```\w+\n(.*?)```", WORKERS, re.S)[1]
        for name in ("config.yaml", "workflow.py")
    }
    (tmp_path / "config.yaml").write_text(found["config.yaml"])
    ran = programs.run(tmp_path, found["workflow.py"], name="workflow.py", timeout=200)

    assert ran.stdout == "0.25\n", ran.stderr
    logs = {path.name for path in (tmp_path / "logs").rglob("*.log")}
    assert "manager.log" in logs
    assert any(name.startswith("worker_") for name in logs)


def test_the_program_whose_worker_dies(tmp_path):
    ran = programs.run(tmp_path, re.search(r"<!-- example: died.py -->\n```\w+\n(.*?)```", WORKERS, re.S)[1], timeout=60)
    assert ran.stdout.splitlines() == ["work(3) 9", "[1, 2]"]


def test_every_hint_is_in_the_list():
    from autotb import engine_facts
    from autotb.engines import multiprocessing, parsl, torch  # noqa: F401
    from autotb.trace import hints, unsendable
    from autotb.trace.parts import Stack

    page = (ROOT / "docs" / "hints.md").read_text(encoding="utf-8")
    listed = re.findall(r"\| `([^|`]+)` \|$", page, re.M)
    texts = [text for _, text in (*engine_facts.facts.hints, *hints.TABLE) if text not in (hints._SILENT, hints._UNSENT)]
    texts += [hints._PICKLES, unsendable.remedy(Stack("TypeError", "", culprit="config.callbacks[2].fh → _thread.lock"))]
    texts += [hints._WITHOUT_AN_EXCEPTION, *hints._ENDS.values()]
    assert [text for text in texts if not text.startswith(tuple(listed))] == []
    assert [words for words in listed if not any(text.startswith(words) for text in texts)] == []


@pytest.mark.on_main()
def test_the_site_is_built_without_a_warning(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-q",
        "--keep-going",
        "-d",
        str(tmp_path / "trees"),
        "docs",
        str(tmp_path / "site"),
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert ran.returncode == 0, ran.stderr
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    for page in ("settings", "engines", "futures", "errors", "workers", "trip", "hints", "packed", "architecture", "reference"):
        assert f'href="{page}.html' in index
    reference = (tmp_path / "site" / "reference.html").read_text(encoding="utf-8")

    import autotb

    for name in autotb.__all__:
        assert f'id="autotb.{name}"' in reference, name


def test_every_requirement_of_the_tests_is_pinned():
    """The README's command installs with ``constraints.txt``: without a pin of each, pip tries versions for an hour."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines if line and not line.startswith("#")}
    asked = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    missing = []
    for requirement in map(Requirement, asked):
        pin = pins.get(canonicalize_name(requirement.name))
        if requirement.name != "autotb" and (pin is None or not requirement.specifier.contains(str(pin.specifier)[2:])):
            missing.append(str(requirement))
    assert missing == [], "run python -m tests.constraints"

"""Parsl, a real DataFlowKernel on threads and on HighThroughputExecutor's worker processes."""

from __future__ import annotations

import re
import sys

import pytest

from tests import programs
from tests.engines import kit
from tests.engines.declared import Engine
from tests.programs import sections

PROGRAM = """\
import sys

import parsl
from parsl import Config, bash_app, join_app, python_app
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor
from parsl.providers import LocalProvider


@python_app
def load(x):
    def divide(a):
        return a / x

    return divide(1)


@python_app
def clean(value):
    return value + 1


@python_app
def total(a, b=0, inputs=()):
    return a + b


@python_app
def two():
    class TwoArguments(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")

    raise TwoArguments(1, 2)


@python_app
def chained(x):
    try:
        {}["id"]
    except KeyError as error:
        raise ValueError("no id") from error


@python_app
def dumps():
    import json

    return json.dumps({"a": object()})


@bash_app
def shell():
    return "exit 3"


@join_app
def joined():
    return load(0)


def app():
    load(0).result()


def chain():
    total(clean(load(0))).result()


def diamond():
    first = load(0)
    total(clean(first), clean(first)).result()


def fan_in():
    total(load(0), b=chained(1)).result()


def inputs():
    total(1, inputs=[load(0)]).result()


def join():
    joined().result()


def bash():
    shell().result()


def needs_two():
    two().result()


def after_two():
    print("after", clean(1).result())


def chained_app():
    chained(1).result()


def library():
    dumps().result()


def mistake():
    future = load(0, executor="x")
    future.result()


CASES = [app, chain, diamond, fan_in, inputs, join, bash, needs_two, after_two, chained_app, library, mistake]


def main():
    if sys.argv[1] == "processes":
        executor = HighThroughputExecutor(
            max_workers_per_node=1, address="127.0.0.1", cpu_affinity="none", provider=LocalProvider(init_blocks=1, max_blocks=1)
        )
    else:
        executor = ThreadPoolExecutor(max_threads=2)
    with parsl.load(Config(executors=[executor], initialize_logging=False)):
        if len(sys.argv) > 2:
            return globals()[sys.argv[2]]()
        for case in CASES:
            sys.stderr.write(f"=== {case.__name__}\\n")
            sys.stderr.flush()
            try:
                case()
            except Exception as error:
                print(case.__name__, type(error).__name__, type(error.__cause__).__name__)
                sys.excepthook(type(error), error, error.__traceback__)


if __name__ == "__main__":
    main()
"""

#: What ``test_degrading`` runs, with one name after another gone.
BROKEN = """\
import parsl
from parsl import Config, python_app
from parsl.executors import ThreadPoolExecutor
import cases

def app(task):
    return python_app(task)(0).result()

if __name__ == "__main__":
    with parsl.load(Config(executors=[ThreadPoolExecutor(max_threads=1)], initialize_logging=False)):
        cases.run(globals())
"""

ENGINES = {
    "parsl": Engine(
        requires=("parsl>=2024.1.1",),
        oldest=("parsl==2024.11.18",),
        older={"2025": ("parsl==2025.9.1",)},
        also=("../postmortem/test_engines.py", "-k", "parsl or bash"),
        costly=True,
        main=BROKEN,
        cases=("app:ok", "app:score"),
    ),
}
ZERO = "ZeroDivisionError: division by zero"
EXPECTED = {
    "app": (["app", "load", "divide"], ZERO),
    "chain": (["chain", "load", "divide"], ZERO),
    "diamond": (["diamond", "load", "divide"], ZERO),
    "inputs": (["inputs", "load", "divide"], ZERO),
    "join": (["join", "load", "divide"], ZERO),
    "bash": (["bash"], "parsl.app.errors.BashExitFailure: bash_app shell failed with unix exit code 3"),
    "needs_two": (["needs_two", "two"], "two.<locals>.TwoArguments: 1 and 2"),
    "chained_app": (["chained", "chained_app", "chained"], "caused by KeyError: 'id', at "),
    "library": (["library", "dumps", "default"], "TypeError: Object of type object is not JSON serializable"),
}


@pytest.fixture(scope="module", params=["threads", "processes"])
def stories(request, tmp_path_factory):
    ours = programs.run(tmp_path_factory.mktemp("parsl"), PROGRAM, request.param, timeout=200)
    # Without autotb the worker processes' result queue dies of the exception that cannot be unpickled: leave that case out.
    bare = programs.run(
        tmp_path_factory.mktemp("parsl"), PROGRAM.replace("needs_two, after_two, ", ""), request.param, autotb="0"
    )
    return request.param, ours, bare


def check(name, text):
    frames, last = EXPECTED[name]
    ran = programs.Ran(1, "", text, None)
    assert [
        frame for frame in (head.partition(" in ")[2] for head in ran.heads) if frame not in ("<module>", "main")
    ] == frames, text
    assert ran.last.startswith(last), text
    assert "/parsl/" not in text
    assert text.count("\n") <= 66, text


@pytest.mark.behaviour("S1-19", "S1-20", "S1-22", "S1-24", "S1-27", "S1-63", "S0-5")
@pytest.mark.parametrize("name", EXPECTED)
def test_every_kind_of_failure_is_one_short_story(stories, name):
    _, ours, bare = stories

    check(name, sections(ours.stderr)[name])
    with pytest.raises((AssertionError, KeyError)):
        check(name, sections(bare.stderr)[name])


@pytest.mark.behaviour("S1-19", "S1-23")
def test_a_chain_names_the_tasks_that_were_skipped_and_their_upstream(stories):
    text = sections(stories[1].stderr)["chain"]

    chain = re.findall(r"^skipped: (\w+) \(task \d+\) ← (\w+) \(task \d+\) ← (\w+) \(task \d+\) ✗$", text, re.M)
    assert chain == [("total", "clean", "load")], text
    assert "representative cause" not in text
    assert re.search(r"submitted at \S+main\.py:\d+ in chain", text)


@pytest.mark.behaviour("S1-21")
def test_each_root_cause_is_told_once(stories):
    found = sections(stories[1].stderr)

    assert found["diamond"].count(ZERO) == 1
    assert found["fan_in"].count(ZERO) == 1
    assert len(re.findall(r"^ValueError: no id$", found["fan_in"], re.M)) == 1
    assert "The same tasks failed of another error as well:" in found["fan_in"]


@pytest.mark.behaviour("S1-25")
def test_a_mistake_of_the_caller_is_shown_at_the_caller(stories):
    text = sections(stories[1].stderr)["mistake"]

    assert "unexpected keyword argument 'executor'" in text.strip().split("\n")[-1]
    line = PROGRAM.split("\n").index('    future = load(0, executor="x")') + 1
    assert programs.Ran(1, "", text, None).heads[-1] == f"main.py:{line} in mistake", text
    assert f"{line} ❱     future = load(0, executor=" in text
    assert "in a Parsl worker" not in text
    assert "load(x=0, executor='x')" in text


@pytest.mark.behaviour("S1-26")
def test_an_error_deep_in_a_library_shows_the_users_line(stories):
    text = sections(stories[1].stderr)["library"]

    assert 'return json.dumps({"a": object()})' in text


def test_an_exception_that_cannot_be_unpickled_hangs_nothing(stories):
    kind, ours, _ = stories

    assert "after 2" in ours.stdout
    assert "needs_two TwoArguments" in ours.stdout


def test_the_program_catches_the_same_exceptions(stories):
    _, ours, bare = stories

    kept = [line for line in ours.stdout.splitlines() if not line.startswith(("needs_two", "after"))]
    assert kept == bare.stdout.splitlines()


@pytest.mark.behaviour("S1-63")
def test_an_unmodified_script_under_the_command_line(tmp_path):
    import sys

    ran = programs.run(tmp_path, PROGRAM, "threads", "chain", command=[sys.executable, "-m", "autotb", "run"])

    check("chain", ran.stderr)
    assert ran.status == 1


FAN_IN = """\
import parsl
import sys
from parsl import python_app
from parsl.config import Config
from parsl.executors import ThreadPoolExecutor


@python_app
def price(number):
    if number % 3 == 1:
        return 1 / (number - number)
    return {"a": 1}[number]


@python_app
def add_tax(price):
    return price * 1.2


@python_app
def total(inputs=()):
    return sum(inputs)


parsl.load(Config(executors=[ThreadPoolExecutor(max_threads=1)], run_dir="runs"))
prices = [price(number) for number in range(120)]
if sys.argv[1:]:
    prices = list(map(add_tax, prices))
total(inputs=prices).result()
"""


@kit.newer
@pytest.mark.on_main()
def test_failed_inputs_are_grouped_and_counted(shows):
    def check(ran):
        assert ran.status == 1
        assert len(ran.lines) <= 60
        assert "\n80 × KeyError, at " in ran.stderr
        assert (
            "\nfor price(number=0), price(number=2), price(number=3), price(number=5), price(number=6), and 75 more\n"
            in ran.stderr
        )
        assert re.search(r"^40 × ZeroDivisionError: division by zero, at \S+main.py:11 in price$", ran.stderr, re.M)
        assert re.search(r"^skipped: total \(task 120\) ← price \(task 0\) ✗, .* and 115 more$", ran.stderr, re.M)
        assert "\nraised as parsl.dataflow.errors.DependencyError\n" in ran.stderr
        assert ran.last == "KeyError: 0"

    shows(FAN_IN, check)


@kit.newer
@pytest.mark.on_main()
def test_of_many_chains_of_skipped_tasks_a_few_are_named(run):
    ran = run(FAN_IN, "chains")
    skipped = [line for line in ran.lines if line.startswith("skipped: ")]

    assert len(ran.lines) <= 60
    assert re.fullmatch(r"skipped: total \(task 240\) ← add_tax \(task 120\), .* and 115 more", skipped[0])
    assert skipped[1] == "skipped: add_tax (task 120) ← price (task 0) ✗"
    assert skipped[-1] == "skipped: add_tax (task 239) ← price (task 119) ✗"
    assert len(skipped) == 8 and "… 113 more such lines" in ran.lines
    assert ran.last == "KeyError: 0"


COMMANDS = """\
import logging
import sys

import parsl
from parsl import Config, bash_app, python_app
from parsl.executors import ThreadPoolExecutor

import autotb


@bash_app
def convert(n, stdout=parsl.AUTO_LOGNAME, stderr=parsl.AUTO_LOGNAME):
    return f"echo begun; echo 'model.bin: no such file' >&2\\nexit {n}"


@bash_app
def makes(outputs=()):
    return "true"


@bash_app
def killed(how, stderr="empty.txt"):
    return how


@python_app
def reads(inputs=()):
    return open(inputs[0]).read()


calls = []


@python_app
def flaky():
    calls.append(1)
    raise TimeoutError("slow") if len(calls) == 1 else ValueError("bad")


with parsl.load(Config(executors=[ThreadPoolExecutor()], retries=int(sys.argv[2]))):
    if sys.argv[1] == "unwrap":
        logging.basicConfig(format="%(message)s", stream=sys.stdout)
        try:
            autotb.unwrap(convert(3), "convert")
        except Exception:
            pass
    elif sys.argv[1] == "makes":
        futures = [killed("kill -9 $$"), killed("exit 139"), killed("exit 2")]
        futures.append(reads(inputs=[makes(outputs=[parsl.File("nowhere.txt")]).outputs[0]]))
        for future in futures:
            try:
                future.result()
            except Exception as error:
                print("===", autotb.explain(error), *autotb.explain(error).hints, sep="\\n")
        makes(outputs=[parsl.File("nowhere.txt")]).result()
    else:
        (flaky() if sys.argv[1] == "flaky" else convert(3)).result()
"""


@pytest.mark.behaviour("S1-10", "S1-11")
def test_a_bash_app_tells_its_command_and_what_it_wrote_last(shows):
    def check(ran):
        told = re.sub(r" *│\n│ ?", "\n", ran.stderr)
        assert "the command was:\n  echo begun; echo 'model.bin: no such file' >&2\n  exit 3\n" in told
        assert re.search(r"its stderr is /\S*task_0000_convert.stderr:\n  model.bin: no such file\n", told)
        assert re.search(r"its stdout is /\S*task_0000_convert.stdout:\n  begun\b", told)
        assert ran.last == "parsl.app.errors.BashExitFailure: bash_app convert failed with unix exit code 3"

    shows(COMMANDS, check, "convert", "0", COLUMNS="200")


@pytest.mark.behaviour("S1-10", "S1-11")
def test_what_a_bash_app_wrote_is_in_unwraps_report(run):
    told = run(COMMANDS, "unwrap", "0").stdout

    assert "\n---- WORKER STDOUT ----\nbegun\n" in told
    assert "\n---- WORKER STDERR ----\nmodel.bin: no such file\n" in told


def test_a_task_is_named_by_its_number_and_its_attempts_are_counted(run):
    ran = run(COMMANDS, "flaky", "2", COLUMNS="300")
    missing = run(COMMANDS, "makes", "0", COLUMNS="300")

    assert ", task 0, attempt 3 of 3, others failed of TimeoutError: slow, submitted at " in ran.stderr
    assert "makes(outputs=[File('nowhere.txt')])" in missing.stderr
    assert "the command was:" in missing.stderr and missing.last.startswith("parsl.app.errors.MissingOutputs: ")

    killed, crashed, ended, reads = missing.stdout.split("===")[1:]
    hint = "\nhint: exit code "
    assert f"{hint}-9 says that the shell was ended by SIGKILL, as where there is no memory left" in killed
    assert f"{hint}139 is what a shell reports of a command that was ended by SIGSEGV\n" in crashed
    assert hint not in ended and "exit code 2" in ended
    made = r"(a file of makes \(task \d\)|the file nowhere\.txt)"  # older versions do not know the task
    assert re.search(rf"^skipped: reads \(task \d\) ← {made} ✗$", reads, re.M), reads


@pytest.mark.on_main()
def test_programs_that_are_not_on_the_path_are_told_where_they_are(run):
    """As where the Python of an environment is called by its path, and the environment is not activated."""
    ran = run(
        """
        from parsl import Config, load
        from parsl.executors import HighThroughputExecutor

        load(Config(executors=[HighThroughputExecutor(address="127.0.0.1")], initialize_logging=False))
        """,
        PATH="/usr/bin:/bin",
    )

    assert ran.last == "FileNotFoundError: [Errno 2] No such file or directory: 'interchange.py'"
    assert "hint: interchange.py is in " in ran.stderr and "bin/activate`" in ran.stderr
    asked = programs.start([sys.executable, "-m", "autotb", "doctor", "--engine", "parsl"], ran.folder, PATH="/usr/bin:/bin")
    assert asked.stdout.splitlines()[-1].startswith("hint: interchange.py is in ")


def test_tasks_that_nobody_asks_for_are_named_at_the_end(shows):
    def check(ran):
        assert ran.stdout == "done\n"
        first = re.search(r"never retrieved, submitted at \S*main\.py:\d+ in <\w+>\n.*\n.*, task (\d), ", ran.stderr)
        rest = re.fullmatch(r"  2 × ValueError, at \S*main\.py:\d+ in score: task (\d), task (\d)", ran.last)
        assert sorted([first[1], rest[1], rest[2]] if first and rest else []) == ["1", "3", "5"]

    shows(UNASKED, check)


UNASKED = """
import parsl
from concurrent.futures import wait
from parsl import Config, python_app
from parsl.executors import ThreadPoolExecutor


@python_app
def score(item):
    if item % 2:
        raise ValueError(f"item {item} is odd")


if __name__ == "__main__":
    with parsl.load(Config(executors=[ThreadPoolExecutor(max_threads=2)], initialize_logging=False)):
        futures = [score(item) for item in range(6)]
        wait(futures)
    print("done")
"""


@pytest.mark.parametrize("made", ["1", "0"])
def test_a_thread_that_asks_for_a_task_has_its_own_frames_and_the_tasks(run, made):
    told = run(IN_A_THREAD, AUTOTB_STYLE="plain", AUTOTB_TRACEBACK=made, COLUMNS="300").stderr

    names = re.findall(r"^  File .*, in (\w+)$", told, re.M)
    assert names == ["ask", "score"]
    assert re.search(r"^  \[in thread asker, started at \S*main.py:\d+ in <module>\]$", told, re.M)
    assert re.search(
        r"^  \[in a Parsl worker thread, .*task 0, submitted at \S*main.py:\d+ in ask\]\n  \[score\(item=1\)\]$", told, re.M
    )


IN_A_THREAD = """
import threading

from parsl import Config, load, python_app
from parsl.executors import ThreadPoolExecutor


def ask():
    python_app(score)(1).result()


def score(item):
    raise ValueError(f"item {item} is odd")


if __name__ == "__main__":
    with load(Config(executors=[ThreadPoolExecutor()], initialize_logging=False)):
        asker = threading.Thread(target=ask, name="asker")
        asker.start()
        asker.join()
"""


LOST = """
import parsl
from parsl import Config, python_app
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider


@python_app
def lose(sample):
    import os, signal, time

    os.kill(os.getppid(), signal.SIGKILL)  # the manager
    time.sleep(60)


if __name__ == "__main__":
    executor = HighThroughputExecutor(
        max_workers_per_node=1,
        address="127.0.0.1",
        cpu_affinity="none",
        heartbeat_period=1,
        heartbeat_threshold=2,
        block_error_handler=False,
        provider=LocalProvider(init_blocks=1, max_blocks=1),
    )
    with parsl.load(Config(executors=[executor], initialize_logging=False, strategy="none")):
        lose("s1").result()
"""


@pytest.mark.on_main()
@kit.newer
@pytest.mark.on_main()
def test_a_lost_manager_is_told_with_the_call_and_who_noticed_it(run):
    ran = run(LOST)

    assert re.search(r"│ in Parsl's interchange, pid \d+, task 0, +│\n│ submitted at \S+main.py:\d+ in <module>", ran.stderr)
    assert re.search(r"│ lose\(sample='s1'\) +│", ran.stderr), ran.stderr
    assert "Parsl worker thread" not in ran.stderr
    assert ran.last.startswith("parsl.executors.high_throughput.errors.ManagerLost: Task failure due to loss of manager ")

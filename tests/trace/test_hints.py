"""Hints: each by its real condition, and none for errors that they do not fit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap

import pytest

from autotb import engine_facts
from tests import programs
from tests.engines import kit


def hints(ran):
    return re.findall(r"^hint: .*$", ran.stderr, re.M)


def lone_hint(ran):
    (hint,) = hints(ran)
    after = [
        line for line in ran.stderr.split(hint)[1].strip().split("\n") if not line.startswith("when serializing ")
    ]  # 3.14's notes
    assert len(after) <= 2, ran.stderr  # Type: message follows, and perhaps the root
    return hint


POOL = """\
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


def same(x):
    return x


def returns_lock(x):
    return threading.Lock()


def divide(x):
    return 1 / x


def opens_files(_):
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    files = []
    try:
        while True:
            files.append(open(__file__))
    finally:
        files.clear()


def nested(x):
    with get_context("fork").Pool(1) as pool:
        return pool.map(same, [x])


def main(which):
    if which in ("daemonic", "pool_file", "pool_lock"):
        with get_context("fork").Pool(1) as pool:
            if which == "pool_file":
                return pool.apply(same, (open(__file__),))
            return pool.apply(nested if which == "daemonic" else returns_lock, (1,))
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        if which == "file":
            return pool.submit(same, open(__file__)).result()
        if which == "lambda":
            return pool.submit(lambda: 1).result()
        return pool.submit(globals()[which], 0).result()


if __name__ == "__main__":
    main(sys.argv[1])
"""


@pytest.mark.behaviour("S1-51")
@pytest.mark.parametrize("case", ["file", "lambda", "returns_lock", "pool_file", "pool_lock"])
def test_what_cannot_be_pickled(run, case):
    """The part is named, and what helps for it, alone."""
    file = "x → _io.TextIOWrapper cannot be pickled: pass the path of a file instead of the open file, and open it in the worker"
    lock = "result → _thread.lock cannot be pickled: leave it out of what is returned, which is pickled"
    lambda_ = (
        "function main.<locals>.<lambda> cannot be pickled: a lambda has no name to be found by; make it a def at module level, "
    )
    hint = lone_hint(run(POOL, case))

    assert hint.startswith("hint: " + {"file": file, "pool_file": file, "lambda": lambda_}.get(case, lock))
    assert len(hint) < 220


CULPRITS = """\
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

from joblib import Parallel, delayed
from loky import get_reusable_executor


class Callback:
    def __init__(self, fh=None):
        self.fh = fh


class Fickle:
    answers = [7]  # once; by the time that anybody looks for the part at fault it can be pickled

    def __reduce__(self):
        return self.answers.pop() if self.answers else (Fickle, ())


class Config:
    def __init__(self):
        # cloudpickle, which loky uses, can pickle files.
        self.callbacks = [Callback(), Callback(), Callback(open(__file__) if sys.argv[1] == "pool" else threading.Lock())]


def work(config, x=1):
    return x


def returns(x):
    return {"a": [1, Callback(threading.Lock())]}


def fickle(x):
    return Fickle()


CASES = {"argument": (work, Config()), "result": (returns, 1), "fickle_argument": (work, Fickle()), "fickle_result": (fickle, 1)}


if __name__ == "__main__":
    function, argument = CASES[sys.argv[2]]
    if sys.argv[1] == "joblib":
        Parallel(2)(delayed(function)(argument) for _ in range(2))
    else:
        with ProcessPoolExecutor(1) if sys.argv[1] == "pool" else get_reusable_executor(1) as pool:
            pool.submit(function, argument).result()
"""


@pytest.mark.behaviour("S1-51")
@pytest.mark.parametrize("engine", ["pool", "loky", "joblib"])
@pytest.mark.parametrize("what", ["argument", "result"])
def test_the_part_that_cannot_be_pickled_is_named(run, engine, what):
    hint = lone_hint(run(CULPRITS, engine, what))

    result = "result[0]" if engine == "joblib" else "result"
    kind = "_io.TextIOWrapper" if engine == "pool" else "_thread.lock"
    path = f"config.callbacks[2].fh → {kind}" if what == "argument" else f"{result}['a'][1].fh → _thread.lock"
    assert hint.startswith(f"hint: {path} cannot be pickled: ")


@pytest.mark.behaviour("S1-51")
@pytest.mark.parametrize("what", ["fickle_argument", "fickle_result"])
def test_where_the_part_is_not_known_the_usual_ones_are_named(run, what):
    ran = run(CULPRITS, "pool", what)
    hint = lone_hint(ran)

    assert "PicklingError: " in ran.last
    for culprit in ("file handles", "database connections", "threads", "JAX arrays as return values"):
        assert culprit in hint
    for remedy in ("pass paths instead of file objects", "np.asarray before returning", "only primitives and plain containers"):
        assert remedy in hint


@pytest.mark.behaviour("S1-52", "S1-53")
@pytest.mark.parametrize("status_files", ["1", "0"])
def test_a_worker_that_was_killed(run, status_files):
    """The signal is known: no other cause is named, and the kernel not where it counts no such kill."""
    ran = run(POOL, "killed", AUTOTB_POSTMORTEM=status_files)
    hint = lone_hint(ran)

    for text in ("without a Python exception: SIGKILL was sent to it", "a timeout", "stderr files", "`Killed`", "by hand"):
        assert text in hint
    counts = "no out-of-memory kill" in ran.stderr
    assert ("out of memory" in hint, "memory limits" in hint) == (not counts, not counts)
    assert "segmentation fault" not in hint
    assert "Parsl" not in hint


@pytest.mark.behaviour("S1-52", "S1-53")
def test_a_worker_whose_end_is_not_known():
    from autotb.trace import hints
    from autotb.trace.model import Trace
    from autotb.trace.parts import Hop, Stack

    def told(*died, engine="parsl"):
        stack = Stack("WorkerLost", "", (Hop(engine=engine, died=died),) if died else ())
        engine_facts.facts.crashes.add("WorkerLost")
        (hint,) = hints.of(Trace(stack))
        return hint

    try:
        for text in ("out of memory", "segmentation fault", "SIGKILL", "timeout"):
            assert text in told("started and then crashed: gone, its exit status is not known")
        for text in ("worker_logdir_root", "`Killed`", "memory limits", "by hand"):
            assert text in told("started and then crashed: gone, its exit status is not known")
        assert ",," not in told("started and then crashed: gone, its exit status is not known")
        assert "worker_logdir_root" not in told("died: gone, its exit status is not known", engine="ray")
        for died, cause in (
            ("died: killed by signal 11 (SIGSEGV)", "as a crash in compiled code does"),
            ("died: gone, its exit status is not known, Fatal Python error: Bus error", "as a crash in compiled code does"),
            ("died: killed by signal 9 (SIGKILL), probably out of memory: the kernel's count …", "where there is no memory left"),
            ("died: killed by signal 9 (SIGKILL), the kernel counts no out-of-memory kill", "SIGKILL was sent to it, by a batch"),
            ("died: killed by signal 9 (SIGKILL)", "SIGKILL was sent to it, by the kernel"),
            ("died: killed by signal 15 (SIGTERM)", "the signal was sent to it"),
            (
                "died: killed by signal 15 (SIGTERM), sent by its nanny: above 95% of its memory limit of 190.73 MiB",
                "its engine ends workers that come near to their memory limit; raise the limit",
            ),
            ("died: exit status 3", "died without a Python exception: the process ended itself"),
            ("died: exit status 1", "ended while it was needed: an error outside of the task, or os._exit(1)"),
            (
                "started, and what it raised ended its worker: exit status 1",
                "a SystemExit or a KeyboardInterrupt ends the worker",
            ),
            ("died: exit status 3221225477", "out of memory, a segmentation fault"),  # of Windows
            (
                "could not unpickle a task, and died of X: exit status 1",
                "a task: what it is made of raises an error as it is unpickled",
            ),
            (
                "could not unpickle a task, and died of AttributeError: x: exit status 1",
                "a task: what the task is made of cannot be",
            ),
            (
                "could not unpickle a task, and died of ImportError: x: exit status 1",
                "a module that it needs cannot be imported there",
            ),
        ):
            assert cause in told("never started: the pool broke before", died)
    finally:
        engine_facts.facts.crashes.discard("WorkerLost")


def test_a_pool_inside_a_daemon(run):
    assert "ProcessPoolExecutor" in lone_hint(run(POOL, "daemonic"))


@pytest.mark.behaviour("S1-54")
def test_an_error_of_another_kind_gets_none(run):
    ran = run(POOL, "divide")

    assert ran.last == "ZeroDivisionError: division by zero"
    assert hints(ran) == []


def test_a_main_script_without_a_guard(run):
    ran = run(
        """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(pool.submit(abs, -1).result())
        """
    )
    told = ran.stderr.split("hint: a spawned worker imports the main script: put what starts the work under ")

    assert len(hints(ran)) == len(told) - 1 == 1, "in the worker, and not in the program"
    assert told[-1].startswith('`if __name__ == "__main__":`\nRuntimeError: ')
    assert ran.last.startswith("concurrent.futures.process.BrokenProcessPool: ")


def test_too_many_open_files(run):
    assert "`ulimit -n`" in lone_hint(run(POOL, "opens_files"))


def test_an_address_in_use(run):
    ran = run(
        """
        import socket

        first = socket.socket()
        first.bind(("127.0.0.1", 0))
        first.listen()
        socket.socket().bind(first.getsockname())
        """,
        AUTOTB_STYLE="rich",
    )

    assert "the address is taken" in lone_hint(ran)


def test_a_file_that_changed(run):
    ran = run(
        """
        import os

        text = open(__file__).read()
        with open(__file__, "w") as file:
            file.write("# one more line\\n" + text)
        os.utime(__file__, (2**31, 2**31))


        def fails():
            raise ValueError("text")


        fails()
        """,
        AUTOTB_STYLE="rich",
    )

    assert "was changed after it was imported" in lone_hint(ran)


def test_a_lock_that_a_thread_held_at_the_fork(run):
    ran = run(
        """
        import os
        import threading
        import time
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        lock = threading.Lock()


        def writes():
            with lock:
                time.sleep(600)


        def needs(x):
            with lock:
                return x


        def sleeps(x):
            time.sleep(600)


        def main():
            threading.Thread(target=writes, name="writer", daemon=True).start()
            while not lock.locked():
                time.sleep(0.01)
            for function in sleeps, needs:
                pool = ProcessPoolExecutor(1, mp_context=get_context("fork"))
                future = pool.submit(function, 3)
                try:
                    future.result(timeout=4)
                except Exception as error:
                    import sys

                    print(function.__name__, file=sys.stderr)
                    sys.excepthook(type(error), error, error.__traceback__)
                    future.add_done_callback(lambda future: future.exception())
                    for pid in pool._processes:
                        os.kill(pid, 9)


        if __name__ == "__main__":
            main()
        """
    )
    sleeps, _, needs = ran.stderr.partition("\nneeds\n")

    assert "hint: " not in sleeps
    assert "hint: worker " in needs
    assert " waits for a lock in " in needs
    assert "threads ran (writer)" in needs
    assert 'get_context("forkserver")' in needs


def test_a_package_of_another_version_in_the_worker(run, tmp_path):
    for version in ("1.0", "2.0"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "shelf.py").write_text(
            f'__version__ = "{version}"\n\n\ndef put(item):\n    return 1 / item\n'
            + ("def take(): ...\n" if version == "1.0" else "")
        )
    code = """
        import os
        import sys
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        if __name__ == "__main__":
            sys.path.insert(0, os.path.abspath("1.0"))

        def in_another_environment(path):
            sys.path[:] = [path, *(path for path in sys.path if not path.endswith("1.0"))]

        def inside(x):
            import shelf
            shelf.put(x)

        def lacks_a_function(x):
            import shelf
            shelf.take(x)

        def lacks_a_name(x):
            from shelf import take

        def main(path, name):
            import shelf
            with ProcessPoolExecutor(1, get_context("spawn"), in_another_environment, (os.path.abspath(path),)) as pool:
                pool.submit(globals()[name], 0).result()

        if __name__ == "__main__":
            main(*sys.argv[1:])
        """
    for function in ("inside", "lacks_a_function", "lacks_a_name"):
        assert "hint: shelf is 2.0 in the worker and 1.0 here" in lone_hint(run(code, "2.0", function)), function
    assert hints(run(code, "1.0", "inside")) == []


def test_a_package_of_the_same_version_gets_no_hint(run):
    ran = run(
        """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        import numpy

        def fails(x):
            return numpy.no_such_function(x)

        if __name__ == "__main__":
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                pool.submit(fails, 1).result()
        """,
        AUTOTB_STYLE="json",
    )
    story = json.loads(ran.stderr)

    import numpy

    assert story["hints"] == []
    versions = story["error"]["hops"][-1]["versions"]
    assert versions == {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "numpy": numpy.__version__}


def test_one_package_that_names_its_version_in_two_ways_is_one(run, tmp_path):
    """What the installer noted of a package that is not loaded here need not be what it says itself (certifi, nbformat)."""
    for folder, version in (("here", "1.0"), ("there", "0.9")):
        package = tmp_path / folder / "vendored"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("from ._version import __version__\n\ndef fails(x):\n    return 1 / 0\n")
        (package / "_version.py").write_text(f'__version__ = "{version}"\n')
        noted = tmp_path / folder / f"vendored-{version}.post1.dist-info"
        noted.mkdir()
        (noted / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vendored\nVersion: {version}.post1\n")
    code = """
        import sys
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        def fails(x):
            if sys.argv[1] == "other":
                sys.path.insert(0, "there")
            import vendored
            return vendored.fails(x)

        if __name__ == "__main__":
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                pool.submit(fails, 1).result()
        """

    assert hints(run(code, "same", PYTHONPATH=str(tmp_path / "here"))) == []
    (other,) = hints(run(code, "other", PYTHONPATH=str(tmp_path / "here")))
    assert other.startswith("hint: vendored is 0.9 in the worker and 1.0.post1 here: ")


def test_a_name_that_is_not_there_where_it_is_unpickled(run):
    """It was pickled well: what cannot be pickled is not to blame."""
    ran = run(
        """
        from multiprocessing import get_context

        if __name__ == "__main__":
            with get_context("spawn").Pool(1) as pool:

                def later(x):
                    return x

                pool.map(later, [1])
        """
    )
    hint = lone_hint(ran)

    assert "the process that unpickled later has no such name in __mp_main__" in hint
    assert "file handles" not in hint


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_a_global_that_the_worker_does_not_have(run, start):
    ran = run(
        f"""
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        def score(x):
            return model[x]

        if __name__ == "__main__":
            with ProcessPoolExecutor(1, mp_context=get_context("{start}")) as pool:
                failed = pool.submit(score, 1)
                failed.exception()
                model = {{}}
                failed.result()
        """
    )

    spawned = "the worker, which imports that script, has none (`if __name__ "
    why = spawned if start == "spawn" else "score does not have it in the worker"
    assert lone_hint(ran).startswith(f"hint: model is a global of this program's main script, and {why}")


@pytest.mark.parametrize(
    ("name", "kind", "module", "pid", "fits"),
    [
        ("Seen", "user", "__main__", 1, True),
        ("Unseen", "user", "__main__", 1, False),  # which nobody has defined anywhere
        ("Seen", "library", "__main__", 1, False),
        ("Seen", "user", "helpers", 1, False),  # another module's name
        ("Seen", "user", "__main__", 2, False),  # raised in this process
    ],
)
def test_a_name_that_is_no_global_of_the_main_script_gets_no_hint(monkeypatch, name, kind, module, pid, fits):
    import __main__
    from autotb.trace import hints
    from autotb.trace.model import Trace
    from autotb.trace.parts import Frame, Hop, Stack

    monkeypatch.setattr(__main__, "Seen", 1, raising=False)
    frame = Frame("/elsewhere/train.py", 3, "score", module=module, kind=kind)
    stack = Stack(
        "NameError", f"name '{name}' is not defined. Did you mean: 'set'?", (Hop((frame,), where="in a worker", pid=1),)
    )

    assert bool(hints.of(Trace(stack, pid=2 if pid == 1 else 1))) is fits


def own_mounts():
    """A command under which /dev/shm can be another one: as root, or in a namespace of one's own."""
    for command in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        tried = [*command, "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]
        if subprocess.run(tried, check=False, capture_output=True, timeout=30).returncode == 0:
            return command
    return pytest.skip("neither root nor a namespace of one's own: nothing can be mounted here")


@kit.on_main
def test_shared_memory_that_is_full(tmp_path):
    """A worker of a DataLoader writes its batch to /dev/shm, which is a small one here."""
    script = tmp_path / "main.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys

            import torch
            from torch.utils.data import DataLoader, Dataset

            class Images(Dataset):
                def __len__(self):
                    return 8

                def __getitem__(self, index):
                    return torch.zeros(1_000_000)

            if __name__ == "__main__":
                torch.multiprocessing.set_sharing_strategy(sys.argv[1])
                for batch in DataLoader(Images(), batch_size=4, num_workers=1):
                    print(batch.shape)
            """
        )
    )
    for strategy in ("file_descriptor", "file_system"):
        command = f"mount -t tmpfs -o size=2m tmpfs /dev/shm && exec {sys.executable} {script} {strategy}"
        ran = subprocess.run(
            [*own_mounts(), "sh", "-c", command],
            capture_output=True,
            text=True,
            timeout=150,
            env={**os.environ, "AUTOTB": "1", "AUTOTB_STYLE": "rich"},
            stdin=subprocess.DEVNULL,
        )
        assert ran.returncode == 1, ran.stderr
        assert "hint: the workers hand batches over in shared memory, and /dev/shm is full" in ran.stderr


@kit.on_main
def test_cuda_after_a_fork(run):
    """PyTorch's own check, in a worker that was forked; where there is no GPU, it is told that there was one."""
    ran = run(
        """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        import torch


        def to_gpu(x):
            if not torch.backends.cuda.is_built():
                torch.cuda._is_in_bad_fork = lambda: True
            return torch.ones(1, device="cuda") * x


        if __name__ == "__main__":
            if torch.cuda.is_available():
                torch.zeros(1, device="cuda")
            with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
                pool.submit(to_gpu, 1).result()
        """
    )

    assert "hint: CUDA was used before the workers were forked" in lone_hint(ran)


def test_a_module_that_only_the_driver_has(run, tmp_path):
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "only_here.py").write_text("")
    ran = run(
        """
        import sys
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context


        def needs(_):
            import only_here


        if __name__ == "__main__":
            with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
                pool.submit(abs, 1).result()
                sys.path.append("only")
                pool.submit(needs, 1).result()
        """
    )

    folder = re.escape(str(tmp_path / "only"))
    wanted = (
        f"hint: only_here is in {folder}, which is not on the worker's sys.path, though its Python is this one: .*={folder}, "
    )
    assert re.match(wanted, lone_hint(ran))


def test_another_interpreter_than_this_one():
    from autotb.trace import hints
    from autotb.trace.model import Trace
    from autotb.trace.parts import Hop, Stack

    def told(**versions):
        hop = Hop(where="in a worker", pid=1, versions=tuple((name.replace("_", "."), text) for name, text in versions.items()))
        return hints.of(Trace(Stack("ModuleNotFoundError", "No module named 'json'", (hop,))))

    here = f"json is found by this Python ({sys.executable}), and not by the worker's"
    assert told(executable="/other/python", sys_path="/other")[0].startswith(f"hint: {here} (/other/python): ")
    assert told()[0].startswith(f"hint: {here}: ")  # nothing is known of the worker's
    assert told(executable=sys.executable, sys_path=os.pathsep.join(sys.path)) == ()  # so it was not the folder


def test_a_module_inside_a_package_is_looked_for_without_importing_that(tmp_path, monkeypatch):
    from autotb.trace import hints
    from autotb.trace.model import Trace
    from autotb.trace.parts import Hop, Stack

    (tmp_path / "box" / "inner").mkdir(parents=True)
    (tmp_path / "box" / "__init__.py").write_text("raise SystemExit('it was imported')")
    (tmp_path / "box" / "inner" / "thing.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    def told(name, engine=""):
        versions = (("executable", sys.executable), ("sys.path", "/other"))
        hop = Hop(where="in a worker", pid=1, engine=engine, versions=versions)
        return hints.of(Trace(Stack("ModuleNotFoundError", f"No module named '{name}'", (hop,))))

    (hint,) = told("box.inner.thing")
    assert hint.startswith(f"hint: box.inner.thing is in {tmp_path}, which is not on the worker's sys.path")
    assert "Parsl" not in hint
    assert f'"PYTHONPATH": "{tmp_path}"' in told("box.inner.thing", "ray")[0]
    assert told("box.inner.nothing") == told("box.nothing.thing") == ()


MISSING = """\
import sqlite3
import sys

import parsl
from parsl import Config, python_app
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider


@python_app
def needs_module():
    import nonexistent_module


class Job:
    def __init__(self):
        self.db = sqlite3.connect(":memory:")


@python_app
def takes(x):
    return 1


@python_app
def rows():
    return {"rows": [1, (n for n in range(3))]}


if __name__ == "__main__":
    executor = HighThroughputExecutor(
        max_workers_per_node=1, address="127.0.0.1", cpu_affinity="none", provider=LocalProvider(init_blocks=1, max_blocks=1)
    )
    with parsl.load(Config(executors=[executor], initialize_logging=False)):
        import autotb

        for future in takes({"job": Job()}), rows():
            try:
                future.result()
            except Exception as error:
                print("=" * 5, autotb.explain(error), *autotb.explain(error).hints, sep="\\n")
        needs_module().result()
"""


@pytest.mark.on_main()
@pytest.mark.behaviour("S1-50", "S1-51")
def test_a_module_that_parsls_worker_lacks(tmp_path):
    ran = programs.run(tmp_path, MISSING, timeout=200)
    hint = lone_hint(ran)

    for text in ("not activated", "worker_init", "different environment", "source ", "export PYTHONPATH"):
        assert text in hint
    argument, result = ran.stdout.split("=====")[1:]
    assert "hint: x['job'].db → sqlite3.Connection cannot be pickled: connect in the worker" in argument
    assert "hint: result['rows'][1] → generator cannot be pickled: return list(...) of the generator" in result
    assert "  [rows()]\n" in result
    assert "in a Parsl worker, pid " in result
    assert "  [takes(x={'job': <Job object>})]\n" in argument
    assert " in pickle, last at " not in result, "which part it is says more"


BESIDE = MISSING.replace("import parsl\n", "import beside\nimport parsl\n", 1).replace(
    "        needs_module()", "        beside.app()"
)


@pytest.mark.on_main()
@pytest.mark.behaviour("S1-46", "S1-50")
def test_a_module_beside_the_script_that_parsls_worker_does_not_find(tmp_path):
    """Python and environment are the same; the worker lacks the script's folder."""
    (tmp_path / "beside.py").write_text("from parsl import python_app\n\n@python_app\ndef app():\n    return 1\n")
    ran = programs.run(tmp_path, BESIDE, timeout=200)
    hint = lone_hint(ran)

    assert ran.last == "ModuleNotFoundError: No module named 'beside'"
    assert re.search(r"in a Parsl worker, pid \d+", ran.stderr), "the app's body has not run"
    assert hint.startswith(
        f"hint: beside is in {tmp_path}, which is not on the worker's sys.path, though its Python is this one: "
    )
    assert hint.endswith(f"worker_init='export PYTHONPATH={tmp_path}:$PYTHONPATH'")


#: Everyday failures, each of which a hint would only misread.
UNRELATED = """\
def boom(kind, *args):
    raise kind(*args)


class Strange(Exception):
    pass


import asyncio, configparser, csv, datetime, decimal, functools, importlib, ipaddress, json, os, pickle, queue, random, re, sqlite3
import string, struct, subprocess, tempfile, threading, time, unicodedata, uuid, zipfile

CASES = [
    lambda: 1 / 0,
    lambda: 1.0 // 0,
    lambda: [][0],
    lambda: {}["key"],
    lambda: int("x"),
    lambda: float("1,5"),
    lambda: None.attribute,
    lambda: "text" + 1,
    lambda: len(3),
    lambda: undefined,
    lambda: [1, 2].index(3),
    lambda: next(iter(())),
    lambda: (lambda a: a)(),
    lambda: open("/nonexistent/file"),
    lambda: os.listdir("/nonexistent"),
    lambda: os.mkdir("/"),
    lambda: open("/"),
    lambda: os.kill(2**22 + 1, 0),
    lambda: json.loads("{"),
    lambda: json.dumps(object()),
    lambda: b"\\xff".decode(),
    lambda: "\\u20ac".encode("ascii"),
    lambda: import_(),
    lambda: importlib.import_module("json.nothing"),
    lambda: getattr(json, "nothing"),
    lambda: __import__("nonexistent_module"),
    lambda: exec("a b"),
    lambda: compile("def", "x", "exec"),
    lambda: re.compile("("),
    lambda: struct.unpack("i", b""),
    lambda: decimal.Decimal("x"),
    lambda: datetime.datetime(2020, 13, 1),
    lambda: datetime.date.fromisoformat("today"),
    lambda: uuid.UUID("x"),
    lambda: ipaddress.ip_address("x"),
    lambda: sqlite3.connect(":memory:").execute("nonsense"),
    lambda: sqlite3.connect("/nonexistent/db"),
    lambda: subprocess.run(["false"], check=True),
    lambda: subprocess.run(["/nonexistent"]),
    lambda: subprocess.run(["sleep", "9"], timeout=0.01),
    lambda: zipfile.ZipFile(__file__),
    lambda: configparser.ConfigParser().get("a", "b"),
    lambda: queue.Queue().get_nowait(),
    lambda: threading.Lock().release(),
    lambda: threading.Thread().join(),
    lambda: asyncio.run(asyncio.wait_for(asyncio.sleep(9), 0.01)),
    lambda: asyncio.run(3),
    lambda: pickle.loads(b"x"),
    lambda: pickle.dumps(threading.Lock()),
    lambda: pickle.dumps(lambda: 1),
    lambda: random.choice([]),
    lambda: functools.reduce(max, []),
    lambda: unicodedata.name("\\0"),
    lambda: string.Template("$a").substitute(),
    lambda: time.sleep(-1),
    lambda: memoryview(3),
    lambda: list(zip([1], [1, 2], strict=True)),
    lambda: boom(AssertionError),
    lambda: boom(MemoryError),
    lambda: boom(RuntimeError, "CUDA is what it mentions"),
    lambda: boom(TimeoutError),
    lambda: boom(ConnectionResetError, 104, "Connection reset by peer"),
    lambda: boom(PermissionError, 13, "Permission denied"),
    lambda: boom(Strange, "killed"),
    lambda: boom(OSError, 28, "No space left on device"),
    lambda: (lambda f: f(f))(lambda f: f(f)),
    lambda: boom(AttributeError),
]


def import_():
    from json import nothing


if __name__ == "__main__":
    import sys
    from concurrent.futures import ProcessPoolExecutor

    print(len(CASES))
    for number, case in enumerate(CASES):
        try:
            case()
        except Exception:
            sys.stderr.write(f"=== case_{number}\\n")
            sys.excepthook(*sys.exc_info())
        else:
            print("no error", number)
    with ProcessPoolExecutor(1) as pool:
        for number in range(len(CASES)):
            try:
                pool.submit(call, number).result()
            except Exception:
                sys.stderr.write(f"=== pool_{number}\\n")
                sys.excepthook(*sys.exc_info())
"""


@pytest.mark.behaviour("S1-54")
def test_everyday_failures_get_no_hint(run):
    code = UNRELATED.replace("def import_():", "def call(number):\n    CASES[number]()\n\n\ndef import_():")
    ran = run(code, AUTOTB_CONTEXT="0", timeout=280)
    told = programs.sections(ran.stderr)

    assert ran.stdout == f"{len(told) // 2}\n"
    assert len(told) // 2 >= 60
    assert {name: re.findall(r"^hint: .*$", text, re.M) for name, text in told.items() if "\nhint: " in text} == {}

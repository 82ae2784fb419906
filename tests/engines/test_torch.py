"""PyTorch: real DataLoader workers, real spawned processes, two real ranks on gloo."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import autotb
from autotb.engines import torch as adapter
from autotb.record import annotate
from tests import programs
from tests.engines import kit
from tests.engines.declared import Engine

pytestmark = kit.on_main

MAIN = """\
import sys
import textwrap

import torch
import torch.multiprocessing
from torch.utils.data import DataLoader, Dataset, IterableDataset

import cases

# How long PyTorch waits for each worker at a loader's end before it ends it: five seconds, which some here do take.
torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 1.0


class Items(Dataset):
    def __init__(self, task):
        self.task = task

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.task(3 - index)


class Stream(IterableDataset):
    def __init__(self, task):
        self.task = task

    def __iter__(self):
        for item in [1, 2, 0]:
            yield self.task(item)


def plain(items):
    return items


def loader(task):
    return [batch for batch in DataLoader(Items(task), num_workers=2, collate_fn=plain)]


def spawned(task):
    found = DataLoader(Items(task), num_workers=1, collate_fn=plain, multiprocessing_context="spawn", persistent_workers=True)
    for batch in found:
        print(batch)


def stream(task):
    for batch in DataLoader(Stream(task), num_workers=1, collate_fn=plain):
        print(batch)


def own_process(task):
    return list(DataLoader(Items(task), num_workers=0, collate_fn=plain))


class Collate:
    def __init__(self, task):
        self.task = task

    def __call__(self, items):
        return self.task(0)


def collate(task):
    return list(DataLoader(Items(abs), num_workers=2, collate_fn=Collate(task)))


def init(task):
    return list(DataLoader(Items(abs), num_workers=1, worker_init_fn=lambda index: task(index)))


def ragged(task):
    return list(DataLoader(Items(torch.zeros), num_workers=1, batch_size=2))


def spawn(task):
    torch.multiprocessing.spawn(rank, args=(task,), nprocs=2)


def rank(index, task):
    import time

    if index == 0:
        time.sleep(5)
    task(0)


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "torch": Engine(
        requires=("torch>=2.0",),
        heavy=True,
        oldest=("torch==2.0.1", "numpy<2"),
        also=("../postmortem/test_engines.py", "-k", "torch or batches"),
        main=MAIN,
        cases=("loader:ok", "loader:score", "spawn:score"),
    ),
    "torchelastic": Engine(heavy=True, unbroken="it is a command, torchrun, and has no cases"),
}
FRAMES = {
    "loader": ["loader", "__getitem__"],
    "spawned": ["spawned", "__getitem__"],
    "stream": ["stream", "__iter__"],
    "collate": ["collate", "__call__"],
    "init": ["init", "<lambda>"],
    "spawn": ["spawn", "rank"],
}
CASES = [f"loader:{task}" for task in kit.STORIES] + [f"{way}:score" for way in FRAMES if way != "loader"] + ["spawn:two"]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    others = ["own_process:score", "loader:ok", "loader:returns_lock", "loader:killed", "spawn:killed", "ragged:ok"]
    return kit.Program(MAIN, hangs=("loader:returns_lock",)).both(tmp_path_factory, CASES + others)


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_failure_is_one_short_story(program, case):
    way, _, task = case.partition(":")
    frames = FRAMES[way] + kit.STORIES[task].frames
    where = "in a process of torch.multiprocessing.spawn, pid" if way == "spawn" else "in a DataLoader worker process"
    if task == "chained":
        frames = frames[-2:]
    kit.check(program, case, frames=frames, where=where, own=("/torch/", "Caught ", "Original Traceback"))


def test_the_call_and_the_place_of_submission(program):
    text = program.story("spawned:score")

    assert "Items.__getitem__(index=3)" in text
    assert kit.submitted(text) == ["spawned"]
    assert kit.submitted(program.story("spawn:score")) == ["spawn"]
    assert program.in_traceback("spawned:score") == " score divide"
    assert kit.OLDEST or program.in_traceback("spawn:score") == " score divide"
    if not kit.OLDEST:  # their spawn sends text alone
        assert "rank(index=1, task=<function score>)" in program.story("spawn:score")


@kit.newer
def test_a_process_that_died_is_told_with_its_call(program):
    text = program.story("spawn:killed")

    assert re.search(r"│ in process 1 of torch\.multiprocessing\.spawn, pid \d+, +│", text)
    assert re.search(r"│ rank\(1, <function>\) +│", text)
    assert "started and then crashed: killed by signal 9 (SIGKILL)" in text
    assert kit.submitted(text) == ["spawn"]
    assert text.count("hint: ") == 1


def test_items_that_do_not_make_a_batch_are_named(program):
    text = program.story("ragged:ok")

    assert re.search(r"│ Items\[i\] for i = 0, 1 +│", text)
    assert "in a DataLoader worker process 0, pid" in text


def test_a_bus_error_of_a_worker_has_its_own_hint_alone():
    error = ConnectionResetError("Connection reset by peer")
    died = ["started and then crashed: killed by signal 7 (SIGBUS), Fatal Python error: Bus error"]
    where = "in a DataLoader worker process"
    annotate.note_death(error, [{"engine": "torch", "where": where, "pid": 1, "frames": [], "died": died}], None)

    (hint,) = autotb.explain(error).hints
    assert hint.startswith(
        "hint: a bus error most often comes of a full /dev/shm, in which the workers hand batches over: enlarge it"
    )


def test_an_item_that_cannot_be_sent_ends_the_loader(program):
    text = program.story("loader:returns_lock")

    assert text.rstrip().endswith("TypeError: cannot pickle '_thread.lock' object")
    assert "in a DataLoader worker process" in text
    assert kit.names(text)[0] == "loader"


def test_the_program_catches_the_same_exceptions(program):
    ours = [line for line in program.outcomes(program.ours) if "returns_lock" not in line]

    assert ours == program.outcomes(program.bare)
    assert "spawn score raised ProcessRaisedException" in ours


RANKS = """
import sys, time
import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record

@record
def main():
    dist.init_process_group("gloo")
    if dist.get_rank() == 1:
        load({"lr": 0})
    dist.barrier()

def load(config):
    return 1 / config["lr"]

if __name__ == "__main__":
    main()
"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]


def test_the_first_rank_that_failed_is_the_story(shows):
    def check(ran):
        assert [head.partition(" in ")[2] for head in ran.heads] == ["main", "load"]
        assert ran.last == "ZeroDivisionError: division by zero"
        assert "in rank 1, pid" in ran.stderr
        assert re.search(r"^rank 1 failed first$", ran.stderr, re.M)
        other = re.search(r"^rank 0 .*$", ran.stderr, re.M)  # its agent may end it before it has noticed
        assert other is None or re.match(r"rank 0 failed after it: RuntimeError: .*peer", other[0])
        assert ran.stderr.count("Traceback (most recent call last)") == 1
        assert ran.status == 1

    shows(RANKS, check, command=TORCHRUN, OMP_NUM_THREADS="1")


def test_a_rank_whose_log_goes_elsewhere_tells_its_error_there_too(tmp_path):
    command = [*TORCHRUN, "--redirects=3", f"--log-dir={tmp_path / 'logs'}"]
    ran = programs.run(tmp_path, RANKS, command=command, OMP_NUM_THREADS="1")
    logs = "".join(path.read_text() for path in (tmp_path / "logs").rglob("1/stderr.log"))

    assert "ZeroDivisionError: division by zero" in logs
    assert ran.last == "ZeroDivisionError: division by zero"


@kit.newer  # in older ones gloo's error at the other rank often comes in the same second, which is all that the text tells
def test_ranks_without_autotb_are_told_from_their_text(tmp_path):
    code = RANKS.replace("import sys, time", "import sys, time\nsys.excepthook = sys.__excepthook__")
    code = code.replace("import torch\n", "import autotb\nautotb.uninstall()\nimport torch\n")
    ran = programs.run(tmp_path, code, command=TORCHRUN, OMP_NUM_THREADS="1")

    assert ran.last == "ZeroDivisionError: division by zero"
    assert [head.partition(" in ")[2] for head in ran.heads][-2:] == ["main", "load"]


def test_without_record_too_the_first_rank_that_failed_is_the_story(shows):
    def check(ran):
        assert [head.partition(" in ")[2] for head in ran.heads] == ["<module>", "main", "load"]
        assert ran.last == "ZeroDivisionError: integer division or modulo by zero"
        assert "in rank 1, pid" in ran.stderr
        assert "load(batch=7, scale=0)" in ran.stderr
        other = re.search(r"^rank 0 .*$", ran.stderr, re.M)
        assert other is None or re.fullmatch(
            r"rank 0 failed after it: RuntimeError: .*peer.*, at \S+main.py:\d+ in main", other[0]
        )
        assert ran.stderr.count("Traceback (most recent call last)") == 1
        assert "_AUTOTB" not in ran.stderr
        assert "is no setting" not in ran.stderr
        assert ran.status == 1

    code = RANKS.replace("@record\n", "").replace('load({"lr": 0})', "load(7, scale=0)")
    code = code.replace('load(config):\n    return 1 / config["lr"]', "load(batch, scale):\n    return batch // scale")
    shows(code, check, command=TORCHRUN, OMP_NUM_THREADS="1")


ATTEMPTS = """
import os, signal, sys, time

def load(step):
    return 10 // step

if __name__ == "__main__":
    attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    if os.environ["RANK"] == "0":
        time.sleep(100)
    if attempt == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    load(step=0)
"""


def test_each_attempt_is_told_and_a_rank_that_was_killed_is_named(shows):
    """Attempts that fail alike are a line each; the rank that was killed comes before the one that the agent then ends."""

    def check(ran):
        first, _, rest = ran.stderr.partition("ZeroDivisionError: integer division or modulo by zero\n")
        assert "in rank 1, pid" in first
        assert re.search(r"attempt 1 of 3 +│", first)
        assert "raised as" not in first
        assert re.search(r"^attempt 2 of 3, all failed alike: rank 1: ZeroDivisionError: .*, at \S+:\d+ in load", rest, re.M)
        assert "died: killed by signal 9 (SIGKILL)" in rest
        assert "attempt 3 of 3, others failed of ZeroDivisionError" in rest
        assert re.search(r"^rank 0: killed by signal 15 \(SIGTERM\)$", rest, re.M)
        assert ran.last.endswith("ChildFailedError: rank 1: killed by signal 9 (SIGKILL)")
        assert ran.stderr.count("Traceback (most recent call last)") == 2
        assert "launch_agent" not in ran.stderr
        assert ran.status == 1

    shows(ATTEMPTS, check, command=[*TORCHRUN, "--max-restarts=2"])


ENDED = """
import os, signal, subprocess, sys, time

if os.environ["RANK"] == "1":
    subprocess.run([sys.executable, "-c", "not_a_rank"])
    raise KeyError("lr")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while not os.path.exists("told"):
    time.sleep(0.05)
os.kill(os.getppid(), signal.SIGTERM)
time.sleep(1)
"""


def test_what_a_rank_left_to_its_agent_is_told_where_that_is_ended_itself(tmp_path):
    """The agent waits for the others to end when it gets a signal: the test's own excepthook says when the rank has handed over."""
    ran = programs.run(tmp_path, SAYS_SO + ENDED, command=TORCHRUN)

    assert "SignalException" in ran.last
    assert ran.stderr.count("KeyError: 'lr'") == 1
    assert "in rank 1, pid" in ran.stderr
    assert ran.stderr.count("NameError: name 'not_a_rank' is not defined") == 1, "only the agent's own children leave it to it"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("autotb-")]


GOES_ON = """
import os, signal, sys, threading, time

def is_told(text):
    for _ in range(600):
        if text in open("stderr").read():
            break
        time.sleep(0.05)

if os.environ["RANK"] == "0":
    try:
        [][1]
    except IndexError:
        sys.excepthook(*sys.exc_info())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    time.sleep(100)
threading.Thread(target=is_told, args=("KeyError: 'lr'",)).start()
raise KeyError("lr")
"""


def test_a_rank_that_raised_and_does_not_end_is_told_meanwhile(tmp_path):
    """One that shows an error by hand, and goes on, tells it itself; it is not the one that failed."""
    script = tmp_path / "main.py"
    script.write_text(GOES_ON)
    with open(tmp_path / "stderr", "w") as stderr:
        subprocess.run([*TORCHRUN, script], cwd=tmp_path, env=programs.environment(), stderr=stderr, timeout=120)
    told = (tmp_path / "stderr").read_text().strip()

    first, _, rest = told.partition("KeyError: 'lr'\n")
    assert first.count("IndexError: list index out of range") == 1
    assert first.count("Traceback (most recent call last)") == 2
    assert "in rank 1, pid" in first
    assert re.search(r"ChildFailedError: rank 1: KeyError: 'lr', at \S+:\d+ in <module>, which is told above$", rest), told
    assert "=====" not in rest
    assert "IndexError" not in rest


MISTAKEN = """
import os, sys, tempfile, time
import torch.distributed
import torch.multiprocessing


def train(index, path):
    os.environ["RANK"] = "0"  # so accelerate's debug_launcher leaves it in each process
    torch.distributed.init_process_group("gloo", rank=index, world_size=2, init_method=f"file://{path}")
    if index == 1:
        raise ValueError("no loss")
    time.sleep(100)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(train, args=(os.path.join(folder, "store"),), nprocs=2)
"""


def test_the_rank_is_that_of_the_process_group(shows):
    def check(ran):
        assert re.search(r"in a process of torch\.multiprocessing\.spawn, pid \d+, RANK=1,", ran.stderr)

    shows(MISTAKEN, check)


SLOW = """
import os, signal, threading, time

if os.environ["RANK"] == "0":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=time.sleep, args=(100,)).start()
    raise ValueError("too large")
while not os.path.exists("told"):
    time.sleep(0.05)
raise KeyError("lost")
"""
SAYS_SO = """
import sys
before = sys.excepthook
def hook(*error):
    before(*error)
    open("told", "w").close()
sys.excepthook = hook
"""


def test_a_rank_that_was_ended_before_it_came_to_its_end_failed_first_all_the_same(tmp_path):
    """torch counts those alone whose process has failed."""
    ran = programs.run(tmp_path, SAYS_SO + SLOW, command=TORCHRUN, timeout=120)

    assert re.search(r"^rank 0 failed first\b", ran.stderr, re.M), ran.stderr
    assert re.search(r"^rank 1 failed after it: KeyError: 'lost'", ran.stderr, re.M)
    assert ran.stderr.count("Traceback (most recent call last)") == 1
    assert "ValueError: too large" in ran.stderr


NO_BATCHES = """
from torch.utils.data import DataLoader

if __name__ == "__main__":
    list(DataLoader([5, 6], batch_sampler=[0, 1], num_workers=1))
"""


def test_a_sampler_that_gives_no_batches_is_told_with_its_record(tmp_path):
    ran = programs.run(tmp_path, NO_BATCHES)

    assert ran.last == "TypeError: 'int' object is not iterable"
    assert re.search(r"in a DataLoader worker process 0, pid \d+", ran.stderr), ran.stderr


WAITS = """
import time
from torch.utils.data import DataLoader

class Slow:
    def __len__(self):
        return 4

    def __getitem__(self, i):
        while i == 3:
            time.sleep(0.1)
        return i

if __name__ == "__main__":
    for batch in DataLoader(Slow(), num_workers=2, batch_size=2, timeout=2, pin_memory=True):
        pass
"""


def test_a_loader_that_gave_up_waiting_says_what_its_workers_do(shows):
    def check(ran):
        running = r"running: Slow\[i\] for one i of 2, 3, since [\d.]+ s, in DataLoader worker process 1, pid \d+"
        assert re.search(rf"^{running}\nRuntimeError: DataLoader timed out after 2 seconds$", ran.stderr, re.M)
        assert "submission.py" not in ran.stderr, "torch's warning names its own line"
        assert len(ran.heads) == 1

    shows(WAITS, check)


def test_a_process_that_succeeded_does_so_though_its_end_cannot_be_noted(monkeypatch):
    def fails(well):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(adapter.task_events, "ended", fails)
    monkeypatch.setattr(adapter.task_events, "_running", {})  # where its beginning stays
    done = []
    adapter._wrap_spawned(lambda fn, i, args, file: done.append(fn(i)))(abs, -3, (), "file")

    assert done == [3]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_ctrl_c_at_a_loader(tmp_path, method):
    code = f"""
    import os, signal, threading, time
    from torch.utils.data import DataLoader

    class Slow:
        def __len__(self):
            return 10

        def __getitem__(self, index):
            open(f"begun{{index}}", "w").close()
            time.sleep(600)

    def main():
        def interrupt():
            while not (os.path.exists("begun0") and os.path.exists("begun1")):
                time.sleep(0.05)
            os.killpg(0, signal.SIGINT)
        threading.Thread(target=interrupt, daemon=True).start()
        for item in DataLoader(Slow(), num_workers=2, multiprocessing_context={method!r}):
            pass

    if __name__ == "__main__":
        main()
    """
    ran = programs.run(tmp_path, code)

    assert ran.last == "KeyboardInterrupt"
    assert ran.status == -2


KILLED = """
import os, signal
import autotb
import torch
from torch.utils.data import DataLoader

class Dies:
    def __len__(self):
        return 40

    def __getitem__(self, index):
        if index == 21:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(10)

if __name__ == "__main__":
    for _ in range(8):
        try:
            for _ in DataLoader(Dies(), batch_size=2, num_workers=2):
                pass
        except Exception as error:
            print(type(error).__name__, "crashed: killed by signal 9" in str(autotb.explain(error)))
"""


def test_whichever_error_tells_the_loader_first_it_tells_of_the_death(run):
    """The pipe of a dead worker may break before the worker is known to be dead, and SIGCHLD come in the midst of finding out."""
    ran = run(KILLED, timeout=120)

    found = ran.stdout.splitlines()
    assert len(found) == 8, ran.stderr
    assert {line.partition(" ")[0] for line in found} <= {"RuntimeError", "ConnectionResetError", "EOFError"}
    assert all(line.endswith(" True") for line in found), ran.stdout


TRAINER = """
import functools
import sys

import torch.multiprocessing

sys.path.insert(0, sys.path[0] + "/site-packages")
import trainers


def loss_of(batch, scale):
    return sum(batch) / scale


def step(index):
    return loss_of([1, 2], scale=1 - index)


if __name__ == "__main__":
    torch.multiprocessing.spawn(trainers.wrapper, args=(step,), nprocs=2)
"""


@pytest.mark.skipif(kit.OLDEST, reason="their spawn sends text alone")
def test_a_librarys_wrapper_is_not_the_call(tmp_path):
    """Lightning's Trainer starts one with twelve arguments."""
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "trainers.py").write_text("def wrapper(index, step):\n    return step(index)\n")
    ran = programs.run(tmp_path, TRAINER)

    assert "│ loss_of(batch=[1, 2], scale=0)" in ran.stderr
    assert "wrapper(" not in ran.stderr
    assert [head.rpartition(" ")[2] for head in ran.heads][-2:] == ["step", "loss_of"]


LEAVES = """
import sys
import torch.multiprocessing as mp

def work(rank, status):
    try:
        int("x")
    except ValueError:
        sys.exit(status)

if __name__ == "__main__":
    mp.spawn(work, args=(0,), nprocs=2)
    try:
        mp.spawn(work, args=(3,), nprocs=1)
    except Exception as error:
        print(type(error).__name__, error.error_index, error.exit_code)
        raise
"""


def test_a_spawned_function_that_exits_raises_what_it_would_and_is_told(shows, run):
    """Torch has written no text of its error then, which a record could stand behind."""

    def check(ran):
        assert ran.stdout == "ProcessExitedException 0 3\n"
        assert "work(0, 3)" in ran.stderr
        assert "ValueError: invalid literal for int() with base 10: 'x'\n" in ran.stderr
        assert "SystemExit: 3\n" in ran.stderr
        assert "started, and what it raised ended its worker: exit status 3" in ran.stderr

    shows(LEAVES, check)
    assert run(LEAVES, AUTOTB="0").stdout == "ProcessExitedException 0 3\n"

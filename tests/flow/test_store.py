"""Run folders: what is kept, read again, resumed after a kill, and what is said of folders and files that are no such thing."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pytest

import autotb
from autotb import ErrorSnapshot, ErrorStub, Flow, PropagatedErrorSnapshot, step
from autotb.flow import chunks, index, result_log, snapshots, store
from tests import programs
from tests.flow.calls import Here

CALLS = []


def work(x, size=0):
    CALLS.append(x)
    if x % 3 == 2:
        raise ValueError(x)
    return x * 10


def after(x):
    CALLS.append(("after", x))
    return x + 1


def total(values, scale=1):
    return sum(values) * scale


def flow_of(folder, mode="continue", function=work, inputs=range(6), **options):
    flow = Flow(Here(), error_handling=mode, run_folder=folder, progress=False, **options)
    flow.call(total, flow.map(after, flow.map(step(function, name="work", chunksize=2), inputs)))
    return flow


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


@pytest.fixture(params=[True, False], ids=["returned", "kept"])
def returned(request):
    return request.param


def test_a_resumed_run_calls_nothing_twice(tmp_path, returned):
    first = flow_of(tmp_path / "run", return_results=returned).run()
    expected = [str(list(first[name])) for name in ("work", "after")]
    CALLS.clear()
    again = flow_of(tmp_path / "run", resume=True, return_results=returned).run()
    assert CALLS == []
    assert [str(list(again[name])) for name in ("work", "after")] == expected
    assert again["work"][2].exception.args == (2,)
    assert len(again["total"].get_root_causes()) == 2


def test_errors_that_only_the_folder_knows_are_passed_on(tmp_path, monkeypatch, returned):
    flow = Flow(Here(), error_handling="continue", run_folder=tmp_path / "run", return_results=returned, progress=False)
    flow.map(step(work, name="work", chunksize=2), range(6))
    flow.run()
    CALLS.clear()
    monkeypatch.setattr(snapshots.Noted, "any_made", False)  # as in a new process
    results = flow_of(tmp_path / "run", resume=True, return_results=returned).run()
    assert sorted(CALLS) == [("after", x) for x in (0, 10, 30, 40)]
    assert [type(results["after"][at]).__name__ for at in (2, 5)] == ["PropagatedErrorSnapshot"] * 2
    assert len(results["total"].get_root_causes()) == 2


def test_inputs_that_are_errors_and_functions_are_the_same_again(tmp_path):
    for resume in (False, True):
        bad = autotb.map(work, [2], error_handling="continue", progress=False)
        scope = {}
        exec("\n" * resume + "def key(x): return x", scope)
        flow = Flow(error_handling="continue", run_folder=tmp_path / "run", resume=resume, progress=False)
        out = flow.map(lambda x, by: x, [*bad, 1], by=scope["key"])
        assert flow.run()[out][1] == 1


def test_what_failed_is_called_again_where_that_is_wanted(tmp_path, returned):
    flow_of(tmp_path / "run", return_results=returned).run()
    CALLS.clear()

    def mended(x):
        CALLS.append(x)
        return x * 10

    mended.__module__, mended.__qualname__ = work.__module__, work.__qualname__
    results = flow_of(tmp_path / "run", resume=True, retry_failed=True, function=mended, return_results=returned).run()
    assert sorted(map(str, CALLS)) == sorted(map(str, [2, 5, ("after", 20), ("after", 50)]))
    assert results["total"] == 156
    CALLS.clear()
    assert flow_of(tmp_path / "run", resume=True, return_results=returned).run()["total"] == 156
    assert CALLS == []


@pytest.mark.behaviour("S2-50")
def test_errors_of_the_folder_are_no_results_in_raise_mode(tmp_path):
    flow_of(tmp_path / "run").run()
    CALLS.clear()
    with pytest.raises(ValueError, match="2"):
        flow_of(tmp_path / "run", mode="raise", resume=True).run()
    assert CALLS == [2]


def test_a_run_that_was_stopped_by_its_error_goes_on(tmp_path):
    with pytest.raises(ValueError, match="2"):
        flow_of(tmp_path / "run", mode="raise").run()
    called = set(CALLS)
    CALLS.clear()
    results = flow_of(tmp_path / "run", resume=True).run()
    assert {one for one in CALLS if isinstance(one, int)} == ({0, 1, 2, 3, 4, 5} - called) | {2, 5}
    assert results["work"][:2] == [0, 10]


KILLED = """
    import os, sys, time, autotb

    def slow(x):
        with open(sys.argv[2], "a") as file:
            file.write(f"{x}\\n")
        while x > 60 and "HOLD" in os.environ:  # until it is killed
            time.sleep(0.1)
        return x

    if __name__ == "__main__":
        flow = autotb.Flow(sys.argv[3], run_folder=sys.argv[1], resume=True, return_results=sys.argv[4] == "yes", progress=False)
        out = flow.map(autotb.step(slow, chunksize=3), range(120))
        print(sum(flow.run()[out]))
    """


def killed(tmp_path, executor, returned, program, lines, **environment):
    """Kill a program and its workers once its log has more than so many lines.  Returns its command line, and the log."""
    script, log = tmp_path / "main.py", tmp_path / "log"
    script.write_text(textwrap.dedent(program))
    command = [sys.executable, str(script), str(tmp_path / "run"), str(log), executor, returned]
    process = subprocess.Popen(
        command, env=programs.environment(**environment), start_new_session=True, stdout=subprocess.DEVNULL
    )
    limit = time.monotonic() + programs.LIMIT
    while not (log.exists() and log.read_text().count("\n") > lines):
        assert time.monotonic() < limit
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    return command, log


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("returned", ["yes", "no"])
def test_a_run_that_was_killed_goes_on(tmp_path, executor, returned):
    command, log = killed(tmp_path, executor, returned, KILLED, 40, HOLD="1")
    before = log.read_text().count("\n")
    ran = programs.start(command, tmp_path)
    assert ran.stdout.split() == [str(sum(range(120)))], ran.stderr
    again = log.read_text().count("\n") - before
    assert again <= 120 - before + 40  # the chunks that were being worked on, and no more
    assert {int(line) for line in log.read_text().split()} == set(range(120))


SLOW = """
    import sys, time, autotb

    def slow(x):
        time.sleep(0.05)
        with open(sys.argv[2], "a") as file:
            file.write(f"{x}\\n")
        return x

    def tell(done, failed, skipped, total):
        if done:
            open(sys.argv[2] + ".told", "w").close()

    if __name__ == "__main__":
        flow = autotb.Flow(sys.argv[3], run_folder=sys.argv[1], resume=True, return_results=sys.argv[4] == "yes", progress=tell)
        out = flow.map(autotb.step(slow, chunksize=50 if sys.argv[4] == "no" else None), range(100))
        print(sum(flow.run()[out]))
    """


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("returned", ["yes", "no"])
def test_calls_that_have_ended_are_kept_whatever_becomes_of_the_others(tmp_path, executor, returned):
    command, log = killed(tmp_path, executor, returned, SLOW, 20)
    before = log.read_text().split()
    assert (tmp_path / "log.told").exists() == (returned == "yes")  # of a chunk that the user asked for at its end
    ran = programs.start(command, tmp_path)
    assert ran.stdout.split() == [str(sum(range(100)))], ran.stderr
    after = log.read_text().split()[len(before) :]
    at_once = min(32, os.cpu_count() + 4) if executor == "threads" else os.cpu_count()
    assert len({*before} & {*after}) <= at_once  # those that had ended in the moment of the kill


@pytest.mark.parametrize("cut", [1, 20, 60])
@pytest.mark.parametrize("filled", [False, True], ids=["short", "zeros"])
def test_a_torn_tail_is_no_record(tmp_path, cut, filled):
    flow_of(tmp_path / "run").run()
    folder = str(tmp_path / "run")
    for name in result_log.names(folder):
        path = tmp_path / "run" / "shards" / name
        whole = result_log.heads(folder, name)
        content = path.read_bytes()
        path.write_bytes(content[:-cut] + bytes(cut if filled else 0))
        assert result_log.heads(folder, name) == whole[:-1]
    CALLS.clear()
    with pytest.warns(RuntimeWarning, match="called again: element 0 of step 'total'"):
        assert flow_of(tmp_path / "run", resume=True).run()["work"][5].exception.args == (5,)


def test_a_torn_record_is_a_clear_error(tmp_path):
    results = flow_of(tmp_path / "run", return_results=False).run()
    for name in result_log.names(str(tmp_path / "run")):
        path = tmp_path / "run" / "shards" / name
        path.write_bytes(path.read_bytes()[:-1][:40] + b"\0" * 1000)
    with pytest.raises(ValueError, match="is torn, or no shard of autotb: there is no whole record at byte 0"):
        results["work"][0]


def flip(folder, name, at, offset):
    """Another bit in the record of an element: at a byte of its head, or of its contents from the end."""
    with closing(index.opened(str(folder))) as found:
        ((_, place),) = found.places(name, at, at + 1)
    path = folder / "shards" / place.shard
    content = bytearray(path.read_bytes())
    sizes = [found for found in result_log.scan(str(folder), place.shard) if found.offset == place.offset]
    content[offset + (place.offset if offset >= 0 else sizes[0].end)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("offset", [-2, 0, 5, 9, 30], ids=["value", "mark", "step", "element", "length"])
def test_what_is_damaged_is_named_and_called_again_where_that_is_wanted(tmp_path, offset, returned):
    folder = tmp_path / "run"
    flow_of(folder, return_results=returned).run()
    flip(folder, "work", 1, offset)
    with pytest.raises(
        ValueError, match=r"element 1 of step 'work' is damaged .*: resume the run with retry_failed=True to call"
    ):
        print(flow_of(folder, resume=True, return_results=returned).run()["work"][1])
    CALLS.clear()
    with pytest.warns(RuntimeWarning, match=r"called again: element 1 of step 'work'$"):
        again = flow_of(folder, resume=True, retry_failed=True, return_results=returned).run()
    assert sorted(one for one in CALLS if isinstance(one, int)) == [1, 2, 5]
    assert list(again["work"])[:2] == [0, 10]
    CALLS.clear()
    assert flow_of(folder, resume=True, return_results=returned).run()["work"][1] == 10
    assert CALLS == []


def test_a_shard_that_is_gone_is_told_and_its_elements_are_called_again(tmp_path):
    folder = tmp_path / "run"
    flow_of(folder).run()
    for path in (folder / "shards").iterdir():
        path.unlink()
    with pytest.warns(RuntimeWarning, match=r"gone with its shard.*element 0 of step 'work'.* 3 more$"):
        assert flow_of(folder, resume=True).run()["work"][1] == 10


@pytest.mark.parametrize("returned", [True, False])
def test_what_is_skipped_again_is_not_written_again(tmp_path, returned):
    """As long as it is skipped for the very same errors."""

    def reads(name):
        return (tmp_path / name).read_text()

    def run(**options):
        flow = Flow(
            "threads", run_folder=tmp_path / "run", error_handling="continue", return_results=returned, progress=False, **options
        )
        texts = flow.map(reads, ["one", "two"])
        long = flow.map(len, texts)
        whole = flow.call(sum, long)
        results = flow.run()
        return [results[whole], *results[long]], sum(path.stat().st_size for path in (tmp_path / "run" / "shards").iterdir())

    def roots(errors):
        return {root.id for error in errors for root in error.get_root_causes()}

    (tmp_path / "one").write_text("1")
    first, size = run()
    root = roots(first[::2])
    assert [type(each) for each in first] == [PropagatedErrorSnapshot, int, PropagatedErrorSnapshot]
    for _ in range(2):
        again, same = run(resume=True)
        assert same == size
        assert [each.id for each in again[::2]] == [each.id for each in first[::2]]
        assert roots(again[::2]) == root

    other, larger = run(resume=True, retry_failed=True)
    assert larger > size
    assert len(roots(other[::2])) == 1 and roots(other[::2]) != root
    (tmp_path / "two").write_text("22")
    assert run(resume=True, retry_failed=True)[0] == [3, 1, 2]


def test_a_finished_run_is_resumed_without_reading_its_records(tmp_path, monkeypatch):
    read = []
    scan = result_log.scan
    monkeypatch.setattr(result_log, "scan", lambda *args: read.append(args) or scan(*args))
    for resume in (False, True, True):
        flow = Flow("threads", run_folder=tmp_path / "run", resume=resume, return_results=False, progress=False)
        out = flow.map(abs, range(5_000))
        results = flow.run()
    assert [start for _, _, start in read] == [os.path.getsize(tmp_path / "run" / "shards" / name) for _, name, _ in read]
    opened = []
    original = open
    monkeypatch.setattr(
        result_log, "open", lambda *args, **options: opened.append(args) or original(*args, **options), raising=False
    )
    assert list(results[out]) == list(range(5_000))
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"function": after},
            "the function of step 'work' is tests.flow.test_store.after now and was tests.flow.test_store.work",
        ),
        ({"inputs": [0, 1, 2, 3, 4, 6]}, "the inputs of step 'work' are not those that it had"),
        ({"inputs": range(7)}, r"the shape of step 'work' is \[7\] now and was \[6\]"),
    ],
)
def test_another_flow_cannot_go_on(tmp_path, change, says):
    flow_of(tmp_path / "run").run()
    with pytest.raises(ValueError, match=says):
        flow_of(tmp_path / "run", resume=True, **change).run()
    assert len(flow_of(tmp_path / "run", resume=True).run()["work"]) == 6  # it is as it was


def test_a_step_that_gave_place_to_another_is_told_and_one_that_is_new_is_run(tmp_path):
    flow_of(tmp_path / "run").run()
    other = Flow(run_folder=tmp_path / "run", resume=True, progress=False)
    other.map(abs, range(6))
    with pytest.raises(ValueError, match=r"cannot be resumed: it has no step 'abs', and 'work' in its stead"):
        other.run()
    flow = flow_of(tmp_path / "run", resume=True)
    more = flow.call(len, [1, 2])
    assert flow.run()[more] == 2


def test_a_step_of_which_nothing_is_kept_may_be_changed(tmp_path):
    def stops(values):
        raise KeyboardInterrupt

    for function, resume in ((stops, False), (sum, True)):
        flow = Flow(Here(), run_folder=tmp_path / "run", resume=resume, progress=False)
        out = flow.call(step(function, name="end"), flow.map(abs, [1, 2]))
        if resume:
            assert flow.run()[out] == 3
        else:
            with pytest.raises(KeyboardInterrupt):
                flow.run()


class CannotBeRead:
    def __reduce__(self):
        return int, ("no number",)


def cannot_be_read(x):
    return CannotBeRead() if x == 1 else x


def test_a_value_that_cannot_be_unpickled_is_told_with_its_place(tmp_path):
    flow = Flow(run_folder=tmp_path / "run", return_results=False, error_handling="continue", progress=False)
    out = flow.map(cannot_be_read, [0, 1, 2])
    results = flow.run()
    assert (results[out][0], results[out][2]) == (0, 2)
    with pytest.raises(
        ValueError, match=r"element 1 of step 'cannot_be_read' is there, .* ValueError: invalid literal"
    ) as caught:
        results[out][1]
    assert type(caught.value.__cause__) is ValueError


def test_inputs_are_compared_by_what_they_are(tmp_path):
    def inputs():
        return [Path("a") / str(at) for at in range(3)], [{"k": [at], "s": {1, 2}} for at in range(3)], [len, print, sorted]

    for resume in (False, True):
        flow = Flow(run_folder=tmp_path / "run", resume=resume, progress=False)
        out = flow.map(lambda *args, key: len(args), *inputs(), key=None)
        assert flow.run()[out] == [3, 3, 3]


def test_folders_that_exist(tmp_path):
    (tmp_path / "other").write_text("mine")
    with pytest.raises(FileExistsError, match="give resume=True to go on with its run"):
        Flow(run_folder=tmp_path)
    with pytest.raises(ValueError, match=r"is no run folder of autotb: it has no index\.sqlite"):
        flow_of(tmp_path, resume=True).run()
    assert os.listdir(tmp_path) == ["other"]
    flow = flow_of(tmp_path / "new", resume=True)
    flow.run()
    with pytest.raises(FileExistsError):
        flow_of(tmp_path / "new")


@pytest.mark.parametrize("resume", [False, True])
def test_an_empty_folder_is_as_good_as_none(tmp_path, resume):
    assert flow_of(tmp_path, resume=resume).run()["work"][1] == 10
    assert flow_of(tmp_path, resume=True).run()["work"][1] == 10


@pytest.mark.parametrize("moment", ["shards", "mark", "index", "named", "empty index"])
def test_a_run_that_was_killed_while_its_folder_was_made_is_begun(tmp_path, monkeypatch, moment):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        if moment in ("shards", "mark"):
            patch.setattr(store, *({"shards": ("mark", kill), "mark": ("created", kill)}[moment]))
        elif moment in ("index", "named"):
            patch.setattr(*({"index": (index.Index, "_opened", kill), "named": (index, "_named", kill)}[moment]))
        else:
            patch.setattr(index, "_named", lambda _, path: kill(open(path, "wb").close()))
        with pytest.raises(Killed):
            flow_of(folder).run()
    assert folder.exists()
    with pytest.raises(FileExistsError, match="give resume=True"):
        flow_of(folder)
    assert flow_of(folder, resume=True).run()["work"][1] == 10
    assert sorted(name.partition("-")[0] for name in os.listdir(folder))[:1] == ["index.sqlite"]
    assert not [name for name in os.listdir(folder) if name.endswith(".new")]


def test_of_two_runs_that_begin_a_folder_at_once_one_has_it(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "_BUSY", 0.1)
    both = threading.Barrier(2)
    came = []

    def begin(resume):
        both.wait(60)
        try:
            came.append(store.Folder(str(tmp_path / "run"), True, resume))
        except OSError as error:
            came.append(error)

    for resume in (False, True):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        came.clear()
        threads = [threading.Thread(target=begin, args=(resume,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        has, lost = sorted(came, key=lambda one: isinstance(one, OSError))
        has.close()
        assert type(lost) is (BlockingIOError if resume else FileExistsError), lost


def test_shards_without_their_index_are_left_alone(tmp_path):
    flow_of(tmp_path / "run").run()
    (tmp_path / "run" / "index.sqlite").unlink()
    with pytest.raises(ValueError, match=r"it has no index\.sqlite"):
        flow_of(tmp_path / "run", resume=True).run()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"", b"SQLite format 3\0" + b"\1" * 5000])
def test_a_foreign_index_is_a_clear_error(tmp_path, content):
    flow_of(tmp_path / "run").run()
    (tmp_path / "run" / "index.sqlite").write_bytes(content)
    with pytest.raises(ValueError, match="index.sqlite is "):
        flow_of(tmp_path / "run", resume=True).run()
    ran = programs.start([sys.executable, "-m", "autotb", "show", str(tmp_path / "run")], tmp_path)
    assert (ran.status, ran.stderr.count("\n")) == (2, 1)
    assert "index.sqlite is " in ran.stderr


def test_two_runs_of_one_folder(tmp_path):
    started = []

    def waits(x):
        started.append(x)
        with pytest.raises(BlockingIOError, match="another run of this flow"):
            store.Folder(str(tmp_path / "run"), True, True)
        return x

    flow = Flow(Here(), run_folder=tmp_path / "run", progress=False)
    flow.map(waits, [1])
    flow.run()
    assert started == [1]


@pytest.mark.behaviour("S2-4")
@pytest.mark.parametrize("mode", ["raise", "continue"])
@pytest.mark.parametrize("schedule", ["eager", "generation"])
def test_a_folder_that_cannot_be_made_is_loud(tmp_path, mode, schedule):
    (tmp_path / "file").write_text("")
    flow = Flow(error_handling=mode, schedule=schedule, run_folder=tmp_path / "file" / "run")
    flow.map(after, [1])
    with pytest.raises(NotADirectoryError):
        flow.run()


FULL = """
    import sys, autotb

    def much(x):
        return bytes(20_000)

    if __name__ == "__main__":
        flow = autotb.Flow(
            sys.argv[2], run_folder=sys.argv[1], error_handling=sys.argv[3], schedule=sys.argv[4],
            return_results=sys.argv[5] == "yes", progress=False,
        )
        flow.map(autotb.step(much, chunksize=1), range(200))
        try:
            flow.run()
        except OSError as error:
            print(error.errno, "disk/run/shards" in str(error.filename))
    """


@pytest.mark.behaviour("S2-4")
@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("options", ["raise eager yes", "continue eager no", "continue generation yes", "raise generation no"])
def test_a_full_disk_is_loud(tmp_path, executor, options):
    (tmp_path / "main.py").write_text(textwrap.dedent(FULL))
    (tmp_path / "disk").mkdir()
    run = f"exec {sys.executable} main.py disk/run {executor} {options}"
    command, is_full = on_a_small_disk(run)
    ran = programs.start(command, tmp_path)
    assert ran.stdout.split() == ["28" if is_full else "27", "True"], ran.stderr  # ENOSPC, EFBIG


def on_a_small_disk(run):
    """The command that runs with a disk of 1 MiB at ``disk``; and whether it is one: in a container that may not mount anything,
    files may not grow beyond a limit."""
    own_mounts = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*own_mounts, "true"], capture_output=True, timeout=60).returncode == 0:
        return [*own_mounts, "sh", "-c", f"mount -t tmpfs -o size=1m tmpfs disk && {run}"], True
    return ["sh", "-c", f"ulimit -f 128 && {run}"], False


INDEX = """
    import os
    from autotb.flow import store

    os.mkdir("disk/run")
    made = store.Index("disk/run", "rwc")
    try:
        made.add(1, [(at, store.Place("shard", at, 1)) for at in range(100_000)])
        made.commit()
    except OSError as error:
        print(error.errno, error.filename == made.path)
"""


@pytest.mark.behaviour("S2-4")
def test_an_index_that_has_no_room_is_loud(tmp_path):
    (tmp_path / "main.py").write_text(textwrap.dedent(INDEX))
    (tmp_path / "disk").mkdir()
    command, is_full = on_a_small_disk(f"exec {sys.executable} main.py")
    ran = programs.start(command, tmp_path)
    assert ran.stdout.split() == ["28" if is_full else "5", "True"], ran.stderr  # ENOSPC; SQLite does not tell of EFBIG


def hide(path):
    """This process sees another folder in its place, as a worker on another machine does; where that is not permitted, it is told
    that the file by which it would know the folder is not there."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000 | 0x00020000) or libc.mount(b"tmpfs", str(path).encode(), b"tmpfs", 0, None):  # a user, mounts
        isfile = os.path.isfile
        os.path.isfile = lambda name: not str(name).startswith(str(path)) and isfile(name)


def test_workers_that_do_not_see_the_folder(tmp_path, returned):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=hide, initargs=(tmp_path,)) as pool:
        flow = Flow(pool, error_handling="continue", run_folder=tmp_path / "run", return_results=returned, progress=False)
        out = flow.map(step(work, chunksize=1), range(4))
        end = flow.call(total, flow.map(after, [1, 2]))
        with pytest.warns(RuntimeWarning, match="workers do not see the run folder") as warned:
            results = flow.run()
    assert len(warned) == 1
    assert [results[out][at] for at in (0, 1, 3)] == [0, 10, 30]
    assert results[out][2].exception.args == (2,)
    assert results[end] == 5
    flow = Flow(error_handling="continue", run_folder=tmp_path / "run", resume=True, progress=False)
    again = flow.map(step(work, chunksize=1), range(4))
    flow.call(total, flow.map(after, [1, 2]))
    CALLS.clear()
    assert flow.run()[again][3] == 30
    assert CALLS == []


@pytest.mark.behaviour("S2-28")
def test_root_causes_are_read_when_they_are_asked_for(tmp_path, monkeypatch):
    results = flow_of(tmp_path / "run", return_results=False).run()
    error, read = results["total"], []
    original = store.load

    def noted(rows):
        for row in rows:
            read.append(row)
            yield row

    monkeypatch.setattr(store, "load", lambda folder, name, rows: original(folder, name, noted(rows)))
    assert error.error_indices == ((2, 5),)
    assert read == []
    roots = error.get_root_causes()
    assert sorted(root.exception.args for root in roots) == [(2,), (5,)]
    assert len(read) == 4  # two elements of `after`, and of `work` the two that they were skipped for


@pytest.mark.behaviour("S2-29", "S2-30")
@pytest.mark.parametrize("kept", ["memory", "folder", "folder only"])
def test_a_reductions_error_does_not_grow_with_the_array(tmp_path, kept):
    def grows(x):
        if x in (5, 50):
            raise ValueError(x)
        return bytes(100)

    sizes = []
    for count in (100, 100_000 if kept == "memory" else 5_000):
        options = {} if kept == "memory" else {"run_folder": tmp_path / str(count), "return_results": kept == "folder"}
        flow = Flow(error_handling="continue", progress=False, **options)
        out = flow.call(total, flow.map(grows, range(count)))
        error = flow.run()[out]
        assert len(error.get_root_causes()) == 2
        sizes.append(len(pickle.dumps(error)))
        again = pickle.loads(pickle.dumps(error))
        assert [root.exception.args for root in again.get_root_causes()] == [(5,), (50,)]
    assert abs(sizes[1] - sizes[0]) < 100
    assert sizes[1] < (20_000 if kept == "memory" else 2_000)


@pytest.mark.behaviour("S2-31", "S2-27")
def test_a_later_process_finds_the_root_causes_in_the_folder(tmp_path, returned):
    error = flow_of(tmp_path / "run", return_results=returned).run()["total"]
    assert error.run_folder == str(tmp_path / "run")
    (tmp_path / "error.pickle").write_bytes(pickle.dumps(error))
    code = "import pickle; print(pickle.load(open('error.pickle', 'rb')).get_root_causes())"
    ran = programs.start([sys.executable, "-c", code], tmp_path, PYTHONPATH=str(Path(__file__).parents[2]))
    assert ran.stdout.count("<ErrorSnapshot of work(x=") == 2, ran.stderr


@pytest.mark.behaviour("S2-31")
def test_show_tells_of_a_run_without_unpickling(tmp_path, returned):
    flow_of(tmp_path / "run", return_results=returned).run()
    ran = programs.start([sys.executable, "-m", "autotb", "show", str(tmp_path / "run")], tmp_path)
    rows = [line.split() for line in ran.stdout.split("\n")]
    assert ["work", "4", "2", "0", "6"] in [row[:5] for row in rows]
    assert ["total", "0", "0", "1", "1"] in [row[:5] for row in rows]
    assert "work(x=2)" in ran.stdout
    assert "ValueError: 5" in ran.stdout
    assert ran.status == 0


@pytest.mark.behaviour("S2-33")
def test_a_folder_that_is_gone_is_told(tmp_path):
    results = flow_of(tmp_path / "run", return_results=False).run()
    error = results["total"]
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="the run folder is gone, or cannot be seen from here"):
        error.get_root_causes()
    with pytest.raises(FileNotFoundError, match="the run folder is gone"):
        results["work"][0]
    assert "total was not called" in error._repr_html_()


@pytest.mark.behaviour("S2-54")
def test_what_a_worker_sends_back_of_an_error_that_it_kept(tmp_path):
    folder = str(tmp_path / "run")
    made = store.Folder(folder, False, False)
    made.expect([store.Identity("work", "function", "inputs", "[3]")])
    column = made.begin("work", (3,))
    big = [1, 2], [bytes(100_000)] * 2
    sink = chunks.Sink(folder, made.token, column.step, True, None)
    sent = chunks.run(work, big, {}, False, -1, range(2), sink)
    made.close()
    assert isinstance(sent.results, bytes)
    assert len(sent.results) < 2_000
    kept = chunks.received(sent, 2).results
    assert kept.results == [None, ErrorStub(False)]
    with pytest.raises(AttributeError):
        kept.results[1].propagated = True
    ((_, loaded),) = store.load(folder, "work", [(1, kept.places[1])])
    assert isinstance(loaded, ErrorSnapshot)
    assert loaded.kwargs == {"x": 2, "size": bytes(100_000)}


MEMORY = """
    import re, sys, autotb

    def fails(x):
        raise ValueError("no")

    if __name__ == "__main__":
        flow = autotb.Flow("processes", error_handling="continue", run_folder="run", return_results=sys.argv[1] == "yes",
                           progress=False)
        made = flow.map(autotb.step(bytes, chunksize=50), [20_000] * 3_000)
        out = flow.map(autotb.step(fails, chunksize=50), made)
        results = flow.run()
        assert results.tallies["fails"].failed == 3_000
        print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
    """


MADE_AGAIN = """
    import os, shutil, sys, autotb
    from concurrent.futures import ProcessPoolExecutor

    def square(x):
        if x == 3:
            raise ValueError(x)
        return x * x

    if __name__ == "__main__":
        with ProcessPoolExecutor(2) as pool:
            for number in (1, 2, 3):
                if number < 3:
                    shutil.rmtree("run", ignore_errors=True)
                flow = autotb.Flow(
                    pool, run_folder="run", resume=number == 3, error_handling="continue", return_results=sys.argv[1] == "yes",
                    progress=False,
                )
                out = flow.map(square, range(6))
                print([value if type(value) is int else "error" for value in flow.run()[out]])
    """


@pytest.mark.parametrize("returned", ["yes", "no"])
def test_a_folder_that_is_removed_and_made_again_under_a_living_pool(tmp_path, returned):
    ran = programs.run(tmp_path, MADE_AGAIN, returned)
    assert ran.stdout.splitlines() == ["[0, 1, 4, 'error', 16, 25]"] * 3, ran.stderr


@pytest.mark.behaviour("S2-56")
def test_the_parent_holds_nothing_of_what_stays_in_the_folder(tmp_path):
    peaks = {}
    for returned in ("yes", "no"):
        (tmp_path / returned).mkdir()
        ran = programs.run(tmp_path / returned, MEMORY, returned)
        peaks[returned] = int(ran.stdout.split()[-1]) if ran.stdout else ran.stderr
    assert peaks["no"] < 0.6 * peaks["yes"], peaks


def open_shards(_):
    return sum(
        os.readlink(f"/proc/self/fd/{name}").endswith(".shard")
        for name in os.listdir("/proc/self/fd")
        if os.path.islink(f"/proc/self/fd/{name}")
    )


def test_a_worker_that_outlives_many_runs_keeps_few_files_open(tmp_path):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for number in range(12):
            flow = Flow(pool, run_folder=tmp_path / str(number), return_results=False, progress=False)
            out = flow.map(abs, [-number])
            assert list(flow.run()[out]) == [number]
        assert 0 < autotb.map(open_shards, [0], executor=pool, progress=False)[0] <= 8


class _SlowToPickle:
    """Its pickling begins, and ends when it is let."""

    begun, go_on = threading.Event(), threading.Event()

    def __reduce__(self):
        self.begun.set()
        assert self.go_on.wait(60)
        return _SlowToPickle, ()


def fails_while_another_is_kept(x):
    if x == 0:
        return _SlowToPickle()
    assert _SlowToPickle.begun.wait(60)
    raise ValueError(x)


def test_a_chunk_that_outlives_its_run_leaves_no_file_open(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        flow = Flow(pool, run_folder=tmp_path / "run", return_results=False)
        flow.map(step(fails_while_another_is_kept, chunksize=1), [0, 1])
        with pytest.raises(ValueError):
            flow.run()
        _SlowToPickle.go_on.set()
    assert str(tmp_path / "run") not in result_log._mine


def test_a_record_that_comes_after_its_shard_was_closed_is_kept_and_leaves_no_file_open(tmp_path):
    (tmp_path / result_log.FOLDER).mkdir()
    shard = result_log.mine(str(tmp_path), "t")
    places = shard.append([result_log.Record(result_log.OK, 1, 0, 0, b"", b"first")])
    result_log.end(str(tmp_path))  # the run ends while a chunk of its is about to write
    places += [place for at in (1, 2) for place in shard.append([result_log.Record(result_log.OK, 1, at, 0, b"", b"later")])]

    assert shard.file.closed
    assert [record.data for record in result_log.read(str(tmp_path), places)] == [b"first", b"later", b"later"]


def test_lazy_results(tmp_path):
    def pair(x, y):
        return x * y

    flow = Flow(run_folder=tmp_path / "run", return_results=False, progress=False)
    flat, grid, one = flow.map(abs, range(-2500, 0)), flow.map(pair, [1, 2], [3, 4, 5], product=True), flow.call(abs, -1)
    none = flow.map(abs, [])
    results = flow.run()
    assert len(results[flat]) == 2500
    assert list(results[flat]) == list(range(2500, 0, -1))
    assert (results[flat][-1], results[flat][10:13]) == (1, [2490, 2489, 2488])
    assert [list(row) for row in results[grid]] == [[3, 4, 5], [6, 8, 10]]
    assert (results[one], list(results[none])) == (1, [])
    with pytest.raises(IndexError):
        results[flat][2500]
    assert "shape (2500,)" in repr(results[flat])


def test_what_the_flow_hangs_up_is_the_newest_of_the_folder(tmp_path):
    flow = flow_of(tmp_path / "run", return_results=False)
    flow.run()
    assert flow.error_snapshot.exception.args == (5,)
    assert isinstance(flow.error_snapshot, ErrorSnapshot)


def test_snapshots_of_a_folder_are_complete(tmp_path):
    results = flow_of(tmp_path / "run", return_results=False).run()
    error = results["work"][2]
    assert (error.kwargs, error.function) == ({"x": 2}, work)
    trace = autotb.explain(error.exception)
    assert trace.frames[-1].name == "work"
    assert "work(x=2)" in str(trace)
    assert isinstance(results["after"][2], PropagatedErrorSnapshot)
    with pytest.raises(ValueError, match="2"):
        error.reproduce()


def test_messages_of_earlier_versions_are_read():
    kept, partly, sink, run = pickle.loads((Path(__file__).parent / "data" / "messages_of_chunks.pickle").read_bytes())

    assert (kept.results, kept.places, kept.unseen) == ([1, None], [3, None], True)
    assert partly[0] == 1
    assert repr(partly[1].exception) == "ZeroDivisionError('division by zero')"
    assert (sink.folder, sink.step, sink.owned) == ("folder", 2, True)
    assert run is chunks.run


def test_how_long_a_step_takes_is_noted_before_it_is_done(tmp_path):
    def noted():
        with closing(index.opened(str(tmp_path / "run"))) as found:
            return dict(found.execute("SELECT name, seconds FROM steps"))

    flow = flow_of(tmp_path / "run", "raise")
    with pytest.raises(ValueError, match="2"):
        flow.run()
    first = noted()
    assert first["work"] > 0
    assert first["after"] == 0
    flow = flow_of(tmp_path / "run", resume=True)
    results = flow.run()
    again = noted()
    assert again["work"] - first["work"] == pytest.approx(results.tallies["work"].seconds, abs=1e-3)
    assert again["after"] == pytest.approx(results.tallies["after"].seconds, abs=1e-3)

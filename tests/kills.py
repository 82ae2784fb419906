"""``python -m tests.kills [ROUNDS] [--executors NAME,…] [--seed N] [--living]``: flows that are killed at random moments and resumed.

Flows in: a random flow a round, its executor, one to three moments at which something is killed, every other time within 100 ms of
its beginning: its process with all of its group, or it alone, or the process of one worker, with whose end it is to end by itself
or go on; ``--living``: Dask's and Ray's workers are of a cluster of other processes, which lives on with what a dead run gave it.
Flows out: a line a round; each difference from the same flow that nobody killed, and each call that was made twice
though its result had been kept.  The status is 1 where there is any.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import programs

EXECUTORS = ("threads", "processes", "loky", "dask", "parsl", "htex", "ray")
KINDS = ("group", "group", "alone", "worker")
LIMIT = 120  # seconds of one run
HUNG, NOTHING = "it hung", "ended without a result"
MARK = "OF_KILLS"  # the variable by which a process is known that was begun for a round


def work(*args: Any, step: int, width: int, at_least: float, log: str, divisor: int, kind: str = "") -> Any:
    """A number of all arguments, after a while; fails where it can be divided.  ``width`` says how its place follows from them,
    ``kind`` whether it is to be made twice (``flaky``), gives two values (``pair``)."""
    value, at = step + total(args), args[0] * width + args[1] if width > 0 else args[-1] if width == 0 else 0
    noted(log, f"begun {step} {at} {os.getpid()}")
    if kind == "flaky" and (log, step, at) not in _tried:
        _tried.add((log, step, at))
        raise ConnectionError(step, at)
    time.sleep(at_least * (value % 5))
    if divisor and value % divisor == 0:
        raise ValueError(step, value)
    return (value, value + 1) if kind == "pair" else value


def numbers(size: int) -> list[int]:
    """A list that a map goes over."""
    return list(range(size))


_tried: set[Any] = set()  # the flaky calls that were made once in this process


def noted(log: str, line: str) -> None:
    """One line, by one write."""
    with open(log, "ab", buffering=0) as file:
        file.write(line.encode() + b"\n")


def total(value: Any) -> int:
    """The sum of all numbers in nested lists and dicts; of an error three."""
    from autotb import ErrorSnapshot, PropagatedErrorSnapshot

    if isinstance(value, (ErrorSnapshot, PropagatedErrorSnapshot)):
        return 3
    if isinstance(value, dict):
        return total(list(value.values()))
    return value if isinstance(value, int) else sum(map(total, value))


class Built:
    """The steps of a random flow."""

    def __init__(self, flow: Any, seed: int, log: str, at_least: float) -> None:
        self.flow, self.chance = flow, random.Random(seed)
        self.log, self.at_least = log, at_least
        self.outputs: list[Any] = []  # what is told in the end
        self.taken: list[tuple[Any, tuple[int, ...]]] = []  # what further steps take, with its shape
        for number in range(self.chance.randint(1, 5)):
            self.add(number)

    def add(self, number: int) -> None:
        """A step of some kind."""
        import autotb

        chance, options = self.chance, dict[str, Any]()
        kind = chance.choice(["", "", "", "flaky", "pair", "cached", "timed"])
        if kind == "flaky":
            options = {"retries": 1, "retry_on": ConnectionError, "wait": 0.01}
        if kind == "timed":
            options = {"timeout": LIMIT}  # made in a thread of its own
        step = autotb.step(
            work,
            name=f"step {number}",
            chunksize=chance.choice([None, None, None, 1, 5]),
            on_error=chance.choice(["skip", "skip", "drop", "pass"]),
            cache=kind == "cached",
            **options,
        )
        given = {"step": number, "width": 0, "log": self.log, "at_least": self.at_least, "divisor": chance.choice([0, 0, 3, 7])}
        given |= {"kind": kind} | ({"outputs": 2} if kind == "pair" else {})
        made, shape = self.made(step, given)
        self.outputs += made if kind == "pair" else [made]
        self.taken.append((made[1] if kind == "pair" else made, shape))

    def made(self, step: Any, given: dict[str, Any]) -> tuple[Any, tuple[int, ...]]:
        """Its output, and the shape of that."""
        flow, chance = self.flow, self.chance
        lines = [(one, shape) for one, shape in self.taken if len(shape) == 1]
        grids = [(one, shape) for one, shape in self.taken if len(shape) == 2]
        ways = (
            ["given", "given", "stream", "product", "listed"]
            + ["after", "after", "call", "nested"] * bool(lines)
            + ["over"] * bool(grids)
        )
        way = chance.choice(ways)
        size = chance.choice([2, 10, 41, 121])
        if way == "product":
            width = chance.randint(1, 4)
            return flow.map(step, range(4), range(width), product=True, **given | {"width": width}), (4, width)
        if way == "after":
            one, shape = chance.choice(lines)
            return flow.map(step, one, range(shape[0]), **given), shape
        if way == "over":
            one, shape = chance.choice(grids)
            axis = chance.randint(0, 1)
            return flow.map(step, one, range(shape[1 - axis]), over=axis, **given), (shape[1 - axis],)
        if way in ("call", "nested"):
            one, _ = chance.choice(lines)
            return flow.call(step, {"some": [one, 1], "all": one} if way == "nested" else one, **given | {"width": -1}), ()
        if way == "listed":
            return flow.map(step, flow.call(numbers, size), **given), (size,)
        return flow.map(step, iter(range(size)) if way == "stream" else range(size), **given), (size,)


def executor_of(name: str, address: str) -> Any:
    """One of these executors, with two workers; those of the cluster at an address, where there is one."""
    if name == "loky":
        from joblib.externals.loky import get_reusable_executor

        return get_reusable_executor(2)
    if name == "dask":
        from distributed import Client, LocalCluster

        return Client(address or LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None))
    if name in ("parsl", "htex"):
        import parsl

        threads = parsl.ThreadPoolExecutor(max_threads=2)
        # Of processes one may die: its chunk is made anew, as Dask does it.
        return parsl.load(parsl.Config([htex() if name == "htex" else threads], run_dir=tempfile.mkdtemp(), retries=2))
    if name == "ray":
        import ray

        of_cluster = {"address": address} if address else {"num_cpus": 2, "include_dashboard": False}
        ray.init(log_to_driver=False, **of_cluster)
    return name


@contextlib.contextmanager
def cluster(name: str) -> Iterator[str]:
    """The address of a cluster of processes that no run has begun."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        command = [sys.executable, "-m", "tests.kills", "--cluster", name, said.name]
        environment = programs.environment(PYTHONPATH=str(Path(__file__).parent.parent), RAY_AUTH_MODE="disabled")
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, env=environment
        )
        while process.poll() is None and not (address := said.read().strip()):
            time.sleep(0.1)
        try:
            yield address
        finally:
            process.communicate()  # at the end of what it reads it ends


def serve(name: str, said: str) -> None:
    """Be a cluster, until there is nothing more to read."""
    executor = executor_of(name, "")
    if name == "dask":
        address = executor.scheduler.address
    else:
        import ray

        address = ray.get_runtime_context().gcs_address
    noted(said, address)
    sys.stdin.read()


def htex() -> Any:
    """Parsl's executor of processes on this machine."""
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    return HighThroughputExecutor(
        max_workers_per_node=2,
        address="127.0.0.1",
        provider=LocalProvider(init_blocks=1, max_blocks=1),
        heartbeat_period=1,
        heartbeat_threshold=3,
    )


def child(folder: str, log: str, seed: int, executor: str, at_least: float, is_returned: bool, said: str, address: str) -> None:
    """Run the flow of a seed in a folder, or go on with it; says in a file when it begins, and at last what each step came to."""
    import autotb
    from autotb.flow import items

    items.LARGE = items._LARGE_ITEM = 1  # also what is small is read item by item, but in workers that do not know of this
    where = executor_of(executor, address)
    flow = autotb.Flow(
        where,
        error_handling="continue",
        run_folder=folder,
        resume=True,
        return_results=is_returned,
        progress=False,
        cache=f"{folder}-cache",
    )
    with warnings.catch_warnings(action="ignore") if sys.version_info >= (3, 11) else contextlib.nullcontext():
        outputs = Built(flow, seed, log, at_least).outputs
        noted(said, "begins")
        results = flow.run()
    left = {step: [(repr(one.index), one.count) for one in results.left_out[step]] for step in results.left_out}
    noted(said, json.dumps([[told(results[output]) for output in outputs], left]))
    os._exit(0)  # engines take their time


def told(value: Any) -> Any:
    """A result as JSON."""
    import autotb

    if isinstance(value, autotb.ErrorSnapshot):
        return f"failed: {value.exception.args}"
    if isinstance(value, autotb.PropagatedErrorSnapshot):
        return f"skipped: {value.reason} {sorted(root.exception.args for root in value.get_root_causes())}"
    return value if isinstance(value, int) else [told(one) for one in value]


def kept(folder: str) -> set[tuple[str, int]]:
    """Which elements of which steps have a whole record in the folder, whatever the index says."""
    from autotb.flow import index, result_log

    if not os.path.isfile(os.path.join(folder, index.FILE)):
        return set()
    found = index.opened(folder)
    names = dict(found.execute("SELECT id, name FROM steps"))
    found.close()
    return {(names[record.step], record.at) for name in result_log.names(folder) for _, record in result_log.heads(folder, name)}


class Round:
    """One flow, killed some times, then run to its end."""

    def __init__(self, seed: int, executor: str, folder: Path, address: str = "") -> None:
        self.seed, self.executor, self.folder, self.address = seed, executor, folder, address
        self.chance = random.Random(f"{seed} {executor}")
        self.log, self.said = folder / "log", folder / "said"
        self.faults: list[str] = []
        self.moments: list[str] = []
        self.before: set[tuple[str, int]] = set()  # what was kept when it was last looked at

    def started(self, folder: Path, log: Path, executor: str, at_least: float) -> subprocess.Popen[str]:
        """A process that runs the flow, which is beginning."""
        returned = self.chance.choice(["yes", "no"])
        self.said.unlink(missing_ok=True)
        given = [str(folder), str(log), str(self.seed), executor, str(at_least), returned, str(self.said), self.address]
        command = [sys.executable, "-m", "tests.kills", "--child", *given]
        with open(self.folder / "stderr", "a", encoding="utf-8") as stderr:
            process = subprocess.Popen(
                command,
                stdout=stderr,
                stderr=stderr,
                text=True,
                start_new_session=True,
                env=programs.environment(
                    PYTHONPATH=str(Path(__file__).parent.parent), RAY_AUTH_MODE="disabled", **{MARK: str(self.folder)}
                ),
            )
        until = time.monotonic() + LIMIT
        while process.poll() is None and not self.said.exists() and time.monotonic() < until:
            time.sleep(0.002)
        return process

    def ended(self, folder: Path, log: Path, executor: str, at_least: float) -> str:
        """What the flow came to."""
        process = self.started(folder, log, executor, at_least)
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            return HUNG
        finally:
            self.end(process)
        text = self.said.read_text(encoding="utf-8") if self.said.exists() else ""
        return text.rpartition("begins\n")[2].strip() or f"{NOTHING}, with status {process.returncode}"

    def run(self) -> list[str]:
        """What was wrong."""
        whole = self.ended(self.folder / "whole", self.folder / "whole.log", "threads", 0.0)
        for _ in range(self.chance.randint(1, 3)):
            self.kill()
            self.note_kept()
        last = self.ended(self.folder / "run", self.log, self.executor, 0.01)
        if whole.startswith((NOTHING, HUNG)):
            self.faults.append(f"the run that nobody killed: {whole}")
        if last != whole:
            self.faults.append(f"came to {last[:300]}\n  instead of {whole[:300]}")
        self.compare()
        return self.faults

    def kill(self) -> None:
        """Start it, and kill it, or a part of it, at some moment."""
        process = self.started(self.folder / "run", self.log, self.executor, 0.01)
        moment, kind = self.chance.uniform(0, 0.1 if self.chance.random() < 0.5 else 1.5), self.chance.choice(KINDS)
        self.moments.append(f"{kind} {moment:.3f} s")
        time.sleep(moment)
        if kind == "worker":
            self.kill_worker(process)
        if kind == "alone":
            process.kill()
            process.wait(LIMIT)
            time.sleep(self.chance.choice([0, 0.5]))  # its workers may write still
        self.end(process)

    def kill_worker(self, process: subprocess.Popen[str]) -> None:
        """Kill the process that has begun a call last, if that is a worker; the flow is to come to an end."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        pids = [int(line.split()[3]) for line in lines if line.startswith("begun")]
        if not pids or pids[-1] == process.pid:
            return
        if self.address and self.executor == "dask":
            time.sleep(2)  # by itself Dask begins no worker anew that died before its nanny knew that it had started
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[-1], signal.SIGKILL)
        self.note_kept()
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.faults.append("it hung when a worker was killed")

    def note_kept(self) -> None:
        """Write into the log what is kept by now, of which nothing is to be called again.  Nothing may have been lost."""
        now = kept(str(self.folder / "run"))
        if not self.before <= now:
            self.faults.append(f"lost what was kept: {sorted(self.before - now)[:3]}")
        self.before = now
        noted(str(self.log), "kept " + json.dumps(sorted(now)))

    def end(self, process: subprocess.Popen[str]) -> None:
        """Kill it, its group, and what an engine has begun for it in groups of its own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(LIMIT)
        mark = f"{MARK}={self.folder}".encode()
        for found in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in found.read_bytes().split(b"\0"):
                    os.kill(int(found.parent.name), signal.SIGKILL)

    def compare(self) -> None:
        """Whether a call was made again whose result had been kept."""
        done: set[str] = set()
        for line in self.log.read_text(encoding="utf-8").splitlines():
            word, _, rest = line.partition(" ")
            if word == "kept":
                done = {f"{name.removeprefix('step ')} {at}" for name, at in json.loads(rest)}
            elif " ".join(rest.split()[:2]) in done:
                self.faults.append(f"called again though it was kept: {rest}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description="kill flows at random moments, and resume them")
    parser.add_argument("rounds", type=int, nargs="?", default=20)
    parser.add_argument("--executors", default="threads,processes", help=f"some of {','.join(EXECUTORS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--living", action="store_true", help="the cluster outlives its runs (dask, ray)")
    options = parser.parse_args()
    with contextlib.ExitStack() as clusters:
        names = options.executors.split(",")
        return rounds(
            options.rounds,
            options.seed,
            [(name, clusters.enter_context(cluster(name)) if options.living else "") for name in names],
        )


def rounds(count: int, seed: int, executors: list[tuple[str, str]]) -> int:
    """So many rounds, by turns on each of these executors, with the addresses of their clusters; the status."""
    bad = 0
    for number in range(count):
        executor, address = executors[number % len(executors)]
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            began, one = time.monotonic(), Round(seed + number, executor, Path(folder), address)
            faults = one.run()
            told_by_it = (Path(folder) / "stderr").read_text(encoding="utf-8", errors="replace")
        bad += bool(faults)
        print(
            f"{executor} {seed + number}: {one.moments} {time.monotonic() - began:.0f} s {'ok' if not faults else ''}",
            flush=True,
        )
        for fault in faults[:5]:
            print(f"  {fault}")
        if faults:
            print(told_by_it[-2_000:])
    print(f"{count} rounds, {bad} with faults")
    return int(bad > 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        at_folder, at_log, of_seed, on, least, returned, at_said, at_address = sys.argv[2:]
        if on == "htex":  # whose workers import a function's module, and have nothing of a main script
            from tests.kills import child
        child(at_folder, at_log, int(of_seed), on, float(least), returned == "yes", at_said, at_address)
    if sys.argv[1:2] == ["--cluster"]:
        serve(*sys.argv[2:])
        sys.exit()
    sys.exit(main())

"""``python -m tests.fuzz [SECONDS] [SEED] [--jobs N] [--door NAME] [--case N]``: runs cases, watches them, and tells what it found.

Each worker is a fork that tells by shared memory which case it is at: one that takes too long, or dies, is named, and another fork goes
on after it.  The status is 1 if anything was found.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import gc
import json
import mmap
import os
import re
import resource
import select
import signal
import sys
import tempfile
import time
from typing import Any

from autotb import runtime
from tests.fuzz import doors, hostile, pairs
from tests.fuzz.chance import Chance

LIMIT = 60  # seconds that a case may take, which on a machine that does other things as well is no matter of milliseconds
SLOW = 3_000  # times as long as the usual case
MEMORY = 400_000  # kilobytes that a case may add to the most that was ever used
PAIRS = 0.004  # of the cases are compared with the bare interpreter


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(os.path.join(folder, "fifo.py"))
        with open(os.path.join(folder, "large.py"), "wb") as file:
            file.truncate(300 << 20)
        if options.case is not None:
            return _one(options, folder)
        fuzz = _Fuzz(options, folder)
        fuzz.run()
        return fuzz.tell()


def _options() -> Any:
    parser = argparse.ArgumentParser("python -m tests.fuzz")
    parser.add_argument("seconds", nargs="?", type=float, default=10)
    parser.add_argument("seed", nargs="?", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--door", choices=[*doors.DOORS, "pair"], help="only this one")
    parser.add_argument("--case", type=int, help="this case of the seed, and no other")
    parser.add_argument("--first", type=int, default=0, help="the first case")
    return parser.parse_args()


def _one(options: Any, folder: str) -> int:
    worker = _Worker(options, folder)
    hostile.watching = []
    began = time.process_time()
    door, found = worker.case(options.case)
    took = time.process_time() - began
    worker.close()
    print(f"case {options.case} of seed {options.seed}, door {door}: {took:.2f} s, {len(found)} faults", *found, sep="\n")
    if getattr(doors.faults_of, "last", ""):
        print(doors.faults_of.last)  # type: ignore[attr-defined]
    sys.stdout.flush()
    os._exit(bool(found))  # without waiting for pools


class _Worker:
    """Runs cases in this process."""

    def __init__(self, options: Any, folder: str) -> None:
        self.options, self.folder = options, folder
        self.pair: pairs.Pair | None = None
        self.times: list[float] = []
        self.usual = 0.0
        self.peak = 0

    def door(self, chance: Chance) -> str:
        if self.options.door:
            return str(self.options.door)
        if chance.is_so(PAIRS):
            return "pair"
        drawn, last = chance.random.random(), ""
        for name, (share, _) in doors.DOORS.items():
            drawn, last = drawn - share, name
            if drawn < 0:
                break
        return last

    def case(self, number: int) -> tuple[str, list[str]]:
        chance = Chance(self.options.seed, number, self.folder)
        door = self.door(chance)
        problems, began = len(runtime.problems), time.process_time()
        if door == "pair":
            self.pair = self.pair or pairs.Pair(self.folder)
            found = pairs.faults_of(self.pair, chance, self.options.seed, number)
        else:
            found = doors.faults_of(door, chance, self.options.seed, number, self.folder)
        found += [f"{door}: autotb gave up: {problem[:160]}" for problem in runtime.problems[problems:]]
        self._measure(time.process_time() - began, door, found)
        return door, found

    def _measure(self, took: float, door: str, found: list[str]) -> None:
        if len(self.times) < 200:
            self.times.append(took)
            self.usual = sorted(self.times)[len(self.times) // 2]
        elif took > SLOW * self.usual:
            found.append(f"{door}: slow, {took:.1f} s of CPU time")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if self.peak and peak - self.peak > MEMORY:
            found.append(f"{door}: {(peak - self.peak) >> 10} MB of memory more")
        self.peak = max(self.peak, peak)

    def close(self) -> None:
        doors.close()
        if self.pair is not None:
            self.pair.close()


class _Slot:
    """What a worker tells by shared memory: the case that it is at, since when, and how many it has done."""

    def __init__(self) -> None:
        self.words = memoryview(mmap.mmap(-1, 4_096)).cast("q")

    def begins(self, number: int) -> None:
        self.words[0], self.words[1] = number, time.monotonic_ns()

    def ends(self) -> None:
        self.words[2] += 1
        self.words[1] = 0


class _Fuzz:
    """All workers."""

    def __init__(self, options: Any, folder: str) -> None:
        self.options, self.folder = options, folder
        self.ends = time.monotonic() + options.seconds
        self.slots = [_Slot() for _ in range(options.jobs)]
        self.workers: dict[int, tuple[int, int]] = {}  # by descriptor of its pipe: which slot, and its process
        self.texts: dict[int, bytes] = {}
        self.found: collections.Counter[str] = collections.Counter()
        self.first: dict[str, int] = {}
        self.peaks: list[int] = []

    def run(self) -> None:
        for slot in range(self.options.jobs):
            self._start(slot, self.options.first + slot)
        try:
            self._watch()
        finally:
            for _, pid in self.workers.values():  # after a Ctrl-C
                os.killpg(pid, signal.SIGKILL)

    def _watch(self) -> None:
        while self.workers:
            for descriptor in select.select(list(self.workers), [], [], 0.5)[0]:
                self._heard(descriptor, os.read(descriptor, 1 << 16))
            for descriptor, (_, pid) in list(self.workers.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    self._ended(descriptor, status)
            for slot, pid in list(self.workers.values()):
                since = self.slots[slot].words[1]
                if time.monotonic() > self.ends + LIMIT + 10:
                    self._add(self.slots[slot].words[0], "the worker does not end")
                    os.kill(pid, signal.SIGKILL)
                elif since and time.monotonic_ns() - since > LIMIT * 10**9:
                    self.slots[slot].words[1] = 0
                    self._add(self.slots[slot].words[0], f"it takes more than {LIMIT} s")
                    os.kill(pid, signal.SIGABRT)

    def _start(self, slot: int, number: int) -> None:
        ours, theirs = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(ours)
            status = 1
            try:
                self._work(slot, number, theirs)
                status = 0
            finally:
                os._exit(status)
        os.close(theirs)
        self.workers[ours], self.texts[ours] = (slot, pid), b""

    def _work(self, slot: int, number: int, out: int) -> None:
        os.setpgid(0, 0)
        said = os.open(os.path.join(self.folder, f"said-{os.getpid()}"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 2)
        faulthandler.enable(2)
        worker, told = _Worker(self.options, self.folder), self.slots[slot]
        gc.freeze()
        while time.monotonic() < self.ends:
            told.begins(number)
            _, found = worker.case(number)
            if found:
                os.write(out, (json.dumps([number, found]) + "\n").encode())
            told.ends()
            number += self.options.jobs
        os.write(out, (json.dumps([-1, [str(worker.peak)]]) + "\n").encode())

    def _heard(self, descriptor: int, data: bytes) -> None:
        *lines, self.texts[descriptor] = (self.texts[descriptor] + data).split(b"\n")
        for line in lines:
            number, found = json.loads(line)
            if number < 0:
                self.peaks.append(int(found[0]))
            for what in found if number >= 0 else ():
                self._add(number, what)

    def _ended(self, descriptor: int, status: int) -> None:
        slot, pid = self.workers.pop(descriptor)
        try:
            os.killpg(pid, signal.SIGKILL)  # its pools, and its pair
        except ProcessLookupError:
            pass
        os.set_blocking(descriptor, False)
        with open(descriptor, "rb", closefd=False) as rest:
            self._heard(descriptor, rest.read() or b"")
        os.close(descriptor)
        del self.texts[descriptor]
        number = self.slots[slot].words[0]
        if status:
            self._add(number, f"the worker ended with status {status}, at {self._stack(pid)}")
        if status and time.monotonic() < self.ends:
            self._start(slot, number + self.options.jobs)

    def _stack(self, pid: int) -> str:
        """Where a worker stood when it ended."""
        with open(os.path.join(self.folder, f"said-{pid}"), errors="replace") as file:
            found = re.findall(r'File "(?:.*/)?(.*?)", line (\d+)', file.read().rpartition("Current thread")[2])
        return " < ".join(f"{name}:{line}" for name, line in found[:6])

    def _add(self, number: int, what: str) -> None:
        if what not in self.found and sum(self.found.values()) < 20:
            print(f"case {number}: {what}", flush=True)
        self.found[what] += 1
        self.first[what] = min(number, self.first.get(what, number))

    def tell(self) -> int:
        count = sum(slot.words[2] for slot in self.slots)
        rate, peak = count / self.options.seconds, max(self.peaks, default=0) >> 10
        faults = sum(self.found.values())
        print(f"seed {self.options.seed}: {count:,} cases, {rate:,.0f} a second, {peak} MB at most, {faults} faults")
        for what, times in self.found.most_common(60):
            print(f"{times:8} {what} (--case {self.first[what]})")
        return bool(self.found)


if __name__ == "__main__":
    sys.exit(main())

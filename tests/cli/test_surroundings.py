"""Lines of logs, quotes and pages are read as Python printed them."""

from __future__ import annotations

import pytest

from autotb.cli import pasted, surroundings

POOL = '''concurrent.futures.process._RemoteTraceback: 
"""
Traceback (most recent call last):
  File "/usr/lib/python3.11/concurrent/futures/process.py", line 261, in _process_worker
    r = call_item.fn(*call_item.args, **call_item.kwargs)
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/app/make.py", line 12, in helper
    return y / x
           ~~^~~
ZeroDivisionError: division by zero

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/usr/lib/python3.11/concurrent/futures/process.py", line 261, in _process_worker
    r = call_item.fn(*call_item.args, **call_item.kwargs)
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/app/make.py", line 18, in chained
    raise ValueError("bad row\\n\\nsecond line: 7") from e
ValueError: bad row

second line: 7
"""

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/make.py", line 74, in <module>
    with ProcessPoolExecutor(1) as p: p.submit(f, arg).result()
                                      ^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/concurrent/futures/_base.py", line 456, in result
    return self.__get_result()
           ^^^^^^^^^^^^^^^^^^^
ValueError: bad row

second line: 7
'''  # noqa: W291
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/app/make.py", line 72, in <module>
  |     if how == "direct": f(arg)
  |                         ^^^^^^
  | ExceptionGroup: several (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/make.py", line 12, in helper
    |     return y / x
    |            ~~^~~
    | ZeroDivisionError: division by zero
    +---------------- 2 ----------------
    | Traceback (most recent call last):
    |   File "/app/make.py", line 34, in noted
    |     raise e
    | RuntimeError: with notes
    | note 1
    +------------------------------------
"""
TEXTS = {"pool": POOL, "group": GROUP}

AT = "2026-11-26T12:00:0{}.{:07}Z "
BEFORE = {
    "a log's own": lambda n: f"2026-11-26 12:00:0{n % 10},{n:03} ERROR app.worker: ",
    "docker compose": lambda n: "worker-1  | ",
    "kubectl": lambda n: AT.format(n % 10, n),
    "a container's runtime": lambda n: AT.format(n % 10, n) + "stderr F ",
    "kubectl with names": lambda n: "[pod/web-7d4b9c-x2x/app] ",
    "gh run view": lambda n: "build\tRun tests\t" + AT.format(n % 10, n),
    "journal": lambda n: f"Nov 26 12:00:{n:02} host python[4711]: ",
    "heroku": lambda n: f"2026-11-26T12:00:{n:02}.{n:06}+00:00 app[worker.1]: ",
    "buildkit": lambda n: f"#9 {n}.{n:03} ",
    "Ray": lambda n: "(task pid=123) ",
    "torchrun": lambda n: "[rank0]: ",
    "mpirun": lambda n: "[1,0]<stderr>:",
    "srun": lambda n: "0: ",
    "a quote": lambda n: "> ",
    "a quote of a quote": lambda n: "> > ",
    "a comment": lambda n: "# ",
    "indented": lambda n: "    ",
    "indented by a tab": lambda n: "\t",
}


def before_each(text, prefix, ends=""):
    return "".join(f"{prefix(at)}{line}{ends}\n" for at, line in enumerate(text.splitlines()))


def fenced(text, mark="```", margin=""):
    lines = ["Hi, what is wrong here?", "", f"{mark}pytb", *text.splitlines(), mark, "It worked yesterday."]
    return "".join(f"{margin}{line}\n" for line in lines)


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


AROUND = {
    **{name: lambda text, prefix=prefix: before_each(text, prefix) for name, prefix in BEFORE.items()},
    "without spaces at the ends": lambda text: "".join(
        f"{line.rstrip()}\n" for line in before_each(text, BEFORE["a quote"]).splitlines()
    ),
    "colours": lambda text: before_each(text, lambda n: "\x1b[31m", "\x1b[0m"),
    "Windows": lambda text: text.replace("\n", "\r\n"),
    "fences": fenced,
    "tildes": lambda text: fenced(text, "~~~"),
    "a quoted fence": lambda text: fenced(text, margin="> "),
    "an indented fence": lambda text: fenced(text, margin="   "),
    "a page": lambda text: escaped(text),
    "a page's element": lambda text: f'<div class="log">\n<pre>{escaped(text)}</pre>\n<p>It &gt; ended.</p>\n</div>\n',
    "elements in a page": lambda text: f"<pre><code>{escaped(text).replace('line', '<b>line</b>')}</code>\n</pre>\nthe end\n",
    "no-break spaces": lambda text: text.replace("  ", "\xa0\xa0"),
    "a level before it": lambda text: f"ERROR:root:{text}INFO:root:going on\n" if text is POOL else f"ERROR:root:\n{text}",
    "a prompt after it": lambda text: f"(venv) me@host:~/src$ python make.py\n{text}(venv) me@host:~/src$ ls\nmake.py\n",
    "another container's lines between": lambda text: "".join(
        f"db-1  | checkpoint {at}\n{line}\n" for at, line in enumerate(before_each(text, BEFORE["docker compose"]).splitlines())
    ),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_a_text_is_read_the_same_with_anything_around_its_lines(around, text):
    plain = pasted.traces(text)

    assert [trace.stack.type for trace in plain] == [("ValueError" if text is POOL else "ExceptionGroup")]
    assert pasted.traces(around(text)) == plain


def test_two_workers_lines_in_turn_are_two_stories():
    first, second = (before_each(text, lambda n: f"(task pid={pid}) ").splitlines() for pid, text in ((1, POOL), (2, GROUP)))
    mixed = "".join(f"{line}\n" for pair in zip(first, second) for line in pair) + "\n".join(first[len(second) :])

    assert pasted.traces(mixed) == [*pasted.traces(POOL), *pasted.traces(GROUP)]


def test_a_fence_within_a_message_is_the_messages():
    said = 'ValueError: no JSON:\n```json\n{"a": 1\n```\nasked again'
    text = f'Traceback (most recent call last):\n  File "/app/a.py", line 1, in ask\n    raise ValueError(answer)\n{said}\n'

    assert [trace.stack.message for trace in pasted.traces(text)] == [said.partition(": ")[2]]


def test_what_has_no_traceback_stays_as_it_is():
    lines = ["> a quote", "  indented", "", "2026-11-26 12:00:00 INFO ok"]

    assert surroundings.lines("\n".join(lines)) == [*lines, surroundings.END]


def test_a_long_log_of_many_workers_is_read_in_time():
    text = "".join(before_each(POOL, lambda n, pid=pid: f"(task pid={pid}) ") for pid in range(300))

    assert len(pasted.traces(text)) == 300

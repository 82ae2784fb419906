"""Records and files that somebody made: a story or one line, soon, and no control character of theirs."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests import fuzz, programs

HEAD = """
    import os, sys

    def frame(path, line=1, **more):
        return {"path": path, "line": line, "name": "f", "module": "m", "kind": "user", **more}

    def record(*frames, **more):
        return {"v": 1, "type": "ValueError", "message": "x", "hops": [{"frames": [*frames]}], **more}

    def shared():
        tree = record()
        for _ in range(40):
            tree = record(members=[tree, tree])
        return tree

    def circle():
        tree = record()
        tree["cause"] = tree["context"] = tree
        tree["members"] = [tree]
        return tree

    def deep():
        tree = record()
        for _ in range(100_000):
            tree = record(cause=tree)
        return tree

    os.mkfifo("fifo.py")
    open("secrets", "w").write("root:$6$hash:1::\\n")
    with open("large.py", "wb") as file:
        file.truncate(300 << 20)
    error = ValueError("x")
    """
RECORDS = {
    "dev/zero": 'record(frame("/dev/zero"))',
    "fifo": 'record(frame("fifo.py"), frame(os.path.abspath("fifo.py")))',
    "300 MB": 'record(frame("large.py"))',
    "no Python": 'record(frame("secrets"), frame(os.path.abspath("secrets")), frame("/etc/shadow"), frame("/proc/self/environ"))',
    "circle": "circle()",
    "shared": "shared()",
    "deep": "deep()",
    "200,000 frames": 'record(*[frame("a.py")] * 200_000)',
    "100 MB of source": 'record(frame("a.py", source=[1, ["y" * 100_000_000]]))',
    "wrong types": '{"v": 1, "type": 5, "message": [], "hops": [None, {"frames": [7, {"path": 3}], "pid": "x", "job": 4}], "cause": 3, "notes": 5}',
    "text": '{"v": 1, "hops": [], "text": "Traceback (most recent call last):\\n  File \\"/dev/zero\\", line 1, in f\\nValueError: x"}',
    "escapes": 'record(frame("\\x1b[31ma.py", name="\\x1bf"), cut="\\x1b]0;t\\x07", lost=["\\x1b"], broken=["\\u202e"], notes=["\\x9b"])',
}


@pytest.mark.parametrize("style", ["rich", "plain"])
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_any_kind_ends_in_a_story(run, name, style):
    code = HEAD + f'error.__dict__["__autotb__"] = {RECORDS[name]}\n    raise error\n'
    ran = run(code, AUTOTB_STYLE=style, timeout=30)

    assert ran.status == 1
    assert "ValueError" in ran.last or ran.last.startswith("caused by ValueError") or name == "escapes"
    assert "failed (" not in ran.stderr
    assert len(ran.lines) <= 300
    assert "root:" not in ran.stderr and "PATH=" not in ran.stderr
    assert not fuzz.RAW.search(ran.stderr)


@pytest.mark.parametrize(
    "record", ['{"v": 1, "hops": [b"x", 5]}', '{"v": 1, "hops": 7}', '(1, "base", None)', '(1, {"frames": 5}, [])']
)
def test_a_record_of_any_kind_is_noted_on(run, record):
    code = f"""
        from concurrent.futures import ThreadPoolExecutor

        class Carried(ValueError):
            def __init__(self):
                self.__dict__["__autotb__"] = {record}

        def failing():
            raise Carried

        ThreadPoolExecutor(1).submit(failing).result()
        """
    ran = run(code, AUTOTB_STYLE="plain", timeout=30)

    assert (ran.status, ran.last) == (1, "Carried")
    assert "submitted at" in ran.stderr and "autotb:" not in ran.stderr


def shown(folder, *arguments):
    return programs.start([sys.executable, "-m", "autotb", "show", *arguments], folder, timeout=30)


def test_show_refuses_what_is_no_file_and_what_is_too_deep(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "deep.json").write_text('{"error":' * 200_000 + "1" + "}" * 200_000)
    (tmp_path / "a\x1b[31m.json").write_text("{")

    for name in ("fifo", "/dev/zero", "deep.json", "a\x1b[31m.json"):
        ran = shown(tmp_path, name)
        assert (ran.status, ran.stdout, len(ran.lines)) == (2, "", 1), ran
        assert "\x1b" not in ran.stderr


def test_show_obeys_no_character_of_a_file(run, tmp_path):
    story = json.loads(run("1 / 0\n", AUTOTB_STYLE="json").stderr)
    story["name"] = "a \x1b[31mname"
    story["error"] |= {"cut": "\x1b]0;title\x07", "type": "\x9bType", "notes": ["\u202enote"]}
    story["error"]["hops"][0]["where"] = "in \x1b[2J"
    (tmp_path / "story.json").write_text(json.dumps(story))

    for style in ("rich", "plain"):
        ran = programs.start([sys.executable, "-m", "autotb", "show", "story.json"], tmp_path, AUTOTB_STYLE=style)
        assert ran.status == 0
        assert not fuzz.RAW.search(ran.stdout), ran.stdout
        assert "title" in ran.stdout


def test_our_own_messages_obey_no_character():
    code = "from autotb import boot\nboot.report('drawing', ValueError('\\x1b[31m\\u202e\\n'))\n"
    ran = programs.start([sys.executable, "-c", code], None)

    assert ran.stderr == "autotb: drawing failed (ValueError: \\x1b[31m\\u202e\\n); Python goes on without it\n"


def test_an_interruption_in_an_engine_is_told_in_a_line_that_obeys_no_character(run):
    engines = """exec(compile("raise KeyboardInterrupt", "<\\x1b[31m>", "exec"), {"__name__": "concurrent.futures.x"})"""
    ran = run(
        f"""
        import sys
        try:
            {engines}
        except KeyboardInterrupt as error:
            sys.excepthook(type(error), error, error.__traceback__.tb_next)
        """,
        AUTOTB_STYLE="plain",
    )

    assert ran.lines[-1].endswith("KeyboardInterrupt, at <\\x1b[31m>:1 in <module>"), ran


def test_a_slice_of_the_fuzzer(tmp_path):
    ran = programs.start(
        [sys.executable, "-m", "tests.fuzz", "8", "1"], os.path.dirname(os.path.dirname(os.path.dirname(__file__))), timeout=120
    )

    assert ran.status == 0, ran.stdout + ran.stderr

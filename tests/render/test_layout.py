"""The panels, as a user sees them."""

from __future__ import annotations

import functools
import re
import sys

import pytest


@pytest.fixture
def run(run):
    """Everything here is about the drawing; in a pipe a plain error would be Python's own text."""
    return functools.partial(run, AUTOTB_STYLE="rich")


@pytest.fixture
def shows(shows):
    """As ``run``."""
    return functools.partial(shows, AUTOTB_STYLE="rich")


LONG = """\
def before():
    pass


def divide(a, b):
    if b is None:
        b = 1
    quotient = a / b
    return quotient


def after():
    pass


from concurrent.futures import ProcessPoolExecutor

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        future = pool.submit(divide, 1, 0)
        future.result()
"""


def rows(ran):
    """The numbered rows of each frame: lists of (number, mark)."""
    frames = []
    for line in ran.lines:
        if re.match(r"│ +│ +[~^]+ *│$", line):
            continue  # the marks below a failing line
        found = re.match(r"│ +(\d+) ([│❱])", line)
        if found:
            frames[-1].append((int(found[1]), found[2]))
        elif not frames or frames[-1]:
            frames.append([])
    return [frame for frame in frames if frame]


@pytest.mark.behaviour("S0-16", "S0-18", "S0-20", "S0-21", "S0-15", "S0-19", "S0-22", "S0-25", "S0-26", "S0-27", "S0-28", "S0-11")
def test_the_whole_panel(shows):
    def check(ran):
        top = ran.lines[0]
        assert top.startswith("╭─") and top.endswith("─╮")
        assert " Traceback (most recent call last) " in top
        assert abs(len(top.split(" Traceback")[0]) - len(top.split("last) ")[1])) <= 1
        bottom = ran.lines[-2]
        assert bottom.startswith("╰") and bottom.endswith("╯")
        assert re.search(r" \d+ engine frames hidden, AUTOTB_FRAMES=all ", bottom)
        assert ran.last == "ZeroDivisionError: division by zero"
        assert {len(line) for line in ran.lines[:-1] if line.endswith(("│", "╮", "╯"))} == {80}
        assert all("main.py:" in line for line in ran.lines[:-1] if len(line) != 80)
        if sys.version_info >= (3, 11):  # before, a frame has no columns
            assert re.search(r"^│ +│ +~~\^~~ +│$", ran.stderr, re.M)
        assert rows(ran) == [
            [(18, "│"), (19, "│"), (20, "│"), (21, "❱")],
            [(5, "│"), (6, "│"), (7, "│"), (8, "❱"), (9, "│"), (10, "│"), (11, "│")],
        ]
        assert [head.partition(" in ")[2] for head in ran.heads] == ["<module>", "divide"]
        inside = [line.removeprefix("│ ").removesuffix("│").rstrip() for line in ran.lines[1:-2]]
        at = next(index for index, line in enumerate(inside) if line.endswith("main.py:8 in divide"))
        assert inside[at - 1] == ""
        assert inside[at + 1] == ""
        assert "   7 │         b = 1" in inside
        assert "   8 ❱     quotient = a / b" in inside
        assert "divide(a=1, b=0)" in inside

    shows(LONG, check)


@pytest.mark.behaviour("S0-17")
def test_context_is_clipped_at_the_ends_of_the_file(shows):
    def check(ran):
        assert rows(ran) == [[(1, "❱")]]

    shows("raise ValueError", check)


def test_a_traceback_of_a_plain_program_is_drawn_as_well(shows):
    def check(ran):
        assert [head.partition(" in ")[2] for head in ran.heads] == ["<module>", "f"]
        assert ran.last == "KeyError: 'a'"

    shows("def f(x):\n    return x['a']\n\n\nf({})\n", check)


@pytest.mark.behaviour("S0-29")
def test_markup_in_messages_and_source_is_text(shows):
    def check(ran):
        assert ran.last == "ValueError: [/red] [bold]x[/bold] :smile:"
        assert 'raise ValueError("[/red] [bold]x[/bold] :smile:")' in ran.stderr
        assert "╭" in ran.stderr

    shows('raise ValueError("[/red] [bold]x[/bold] :smile:")\n', check)


@pytest.mark.behaviour("S0-30")
@pytest.mark.parametrize(
    "raised, last", [("KeyError()", ["KeyError"]), ('ValueError("a\\n  b\\nc")', ["ValueError: a", "  b", "c"])]
)
def test_the_last_lines(shows, raised, last):
    def check(ran):
        assert "╭" in ran.stderr
        assert ran.lines[-len(last) :] == last

    shows(f"raise {raised}\n", check)


@pytest.mark.parametrize("style", ["rich", "plain"])
def test_control_characters_are_shown_and_never_obeyed(run, style):
    ran = run(
        """
        def f():
            raise ValueError("\\x1b[31mred\\x07 \\x9b2J \\u202eevil \\r over \\ud800")  # \x1b]0;title\x07
        f()
        """,
        AUTOTB_STYLE=style,
    )

    assert not set(ran.stderr) & set("\x1b\x07\x9b\u202e\r")
    assert ran.last == "ValueError: \\x1b[31mred\\x07 \\x9b2J \\u202eevil \\x0d over \\ud800"


def test_wide_and_combining_characters_keep_the_border_straight(run):
    from rich.cells import cell_len

    ran = run(
        """
        def f():
            名前 = "日本語 e\u0301 👍"
            raise ValueError(名前)
        f()
        """
    )

    assert {cell_len(line) for line in ran.lines[:-1] if "main.py:" not in line} == {80}
    assert ran.last == "ValueError: 日本語 e\u0301 👍"


def test_tabs_are_expanded(run):
    ran = run("if True:\n\tdef f():\n\t\traise ValueError\n\tf()\n")

    assert "   3 ❱         raise ValueError" in ran.stderr
    assert "\t" not in ran.stderr


def test_a_line_of_100_kB_is_cut_around_the_failing_expression(run):
    ran = run("x = [" + "1, " * 33_000 + "1/0, " + "2, " * 33_000 + "]\n")

    assert len(ran.stderr) < 6_000
    assert "1/0" in ran.stderr or "characters" in ran.stderr
    assert "more characters" in ran.stderr
    assert ran.last == "ZeroDivisionError: division by zero"


def test_a_huge_message_is_cut_with_the_count_of_what_was_cut(run):
    ran = run("raise ValueError('h' * 1_000_000)\n")

    assert len(ran.stderr) < 15_000
    assert "990,000 more characters" in ran.last


def test_a_recursion_is_shown_once_with_its_count(shows):
    def check(ran):
        assert [head.partition(" in ")[2] for head in ran.heads][:3] == ["<module>", "f", "g"]
        assert len(ran.heads) <= 4  # the last turn may end in its middle
        assert re.search(r"… Previous 2 frames repeated \d+ more times", ran.stderr)
        assert ran.last.startswith("RecursionError: maximum recursion depth exceeded")

    shows("def f(n):\n    return g(n)\n\n\ndef g(n):\n    return f(n + 1)\n\n\nf(1)\n", check)


def test_a_deep_hop_keeps_the_lines_of_its_middle(run):
    source = (
        "".join(f"def f{i}():\n    # comment\n    return f{i + 1}()\n\n\n" for i in range(12))
        + "def f12():\n    return 1 / 0\n\n\nf0()\n"
    )
    ran = run(source)

    assert len(ran.heads) == 14
    assert ran.stderr.count("❱") == 14
    assert [len(frame) for frame in rows(ran)][4:10] == [1] * 6


def test_a_syntax_error_keeps_its_own_display(shows):
    def check(ran):
        assert ran.lines[-4:] == ['  File "other.py", line 1', "    a b", "      ^", "SyntaxError: invalid syntax"] or ran.lines[
            -4:-1
        ] == [
            '  File "other.py", line 1',
            "    a b",
            "    ^^^",
        ]
        assert "╭" in ran.stderr

    shows('compile("a b", "other.py", "exec")\n', check)


@pytest.mark.behaviour("S0-8")
def test_where_no_user_frame_is_left_everything_is_shown(run):
    ran = run(
        """
        import sys
        from concurrent.futures import Future
        future = Future()
        future.set_exception(ValueError("x"))
        try:
            future.result()
        except ValueError as error:
            tb = error.__traceback__.tb_next
            sys.excepthook(ValueError, error.with_traceback(tb), tb)
        """
    )

    assert "_base.py" in ran.stderr
    assert "╭" in ran.stderr


@pytest.mark.behaviour("S0-6", "S0-7")
def test_whose_frames_are_the_users(run, tmp_path):
    site = tmp_path / "env" / "site-packages"
    for package in ("mine", "theirs"):
        (site / package).mkdir(parents=True)
    (site / "mine" / "__init__.py").write_text(
        "import theirs\n\n\ndef work(x):\n    return theirs.call(inner, x)\n\n\ndef inner(x):\n    return 1 / x\n"
    )
    (site / "theirs" / "__init__.py").write_text(
        "def call(f, x):\n    return call2(f, x)\n\n\ndef call2(f, x):\n    return f(x)\n"
    )
    (tmp_path / "my_ray").mkdir()
    # Neither the file's name makes it the standard library's, nor what it calls itself.
    (tmp_path / "my_ray" / "futures.py").write_text(
        '__name__ = "concurrent.futures.mine"\n\n\ndef helper(f, x):\n    return f(x)\n'
    )
    ran = run(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        sys.path.insert(0, sys.argv[1] + "/../../my_ray")
        from concurrent.futures import ProcessPoolExecutor
        import futures, mine, theirs

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                futures.helper(lambda x: pool.submit(mine.work, x).result(), 0)
        """,
        str(site),
    )

    assert [head.partition(" in ")[2] for head in ran.heads] == ["<module>", "helper", "<lambda>", "work", "inner"], ran.stderr
    assert "… 2 frames in theirs, last at __init__.py:6 in call2" in ran.stderr


@pytest.mark.behaviour("S0-23", "S0-24")
def test_code_without_a_file(run):
    ran = run(
        """
        import linecache
        exec(compile("def known():\\n    return 1 / 0\\n", "<cell 1>", "exec"))
        linecache.cache["<cell 1>"] = (1, None, ["def known():\\n", "    return 1 / 0\\n"], "<cell 1>")
        exec(compile("def unknown():\\n    known()\\n", "<nowhere>", "exec"))
        unknown()
        """
    )

    assert "│ <nowhere>:2 in unknown" in ran.stderr
    assert "   2 ❱     return 1 / 0" in ran.stderr
    assert ran.last == "ZeroDivisionError: division by zero"


def test_code_from_the_command_line_and_from_stdin(tmp_path):
    import sys

    from tests import programs

    for command, stdin in (
        ([sys.executable, "-c", "def f():\n    1 / 0\nf()"], None),
        ([sys.executable, "-"], "def f():\n    1 / 0\nf()\n"),
    ):
        ran = programs.start(command, tmp_path, stdin=stdin, AUTOTB_STYLE="rich")
        assert [head.partition(" in ")[2] for head in ran.heads] == ["<module>", "f"]
        assert ran.last == "ZeroDivisionError: division by zero"
        assert ran.status == 1


def test_code_in_a_zip(run, tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as file:
        file.writestr("zipped.py", "def f():\n    # in a zip\n    return 1 / 0\n")
    ran = run("import sys\nsys.path.insert(0, 'lib.zip')\nimport zipped\nzipped.f()\n")

    assert re.search(r"lib\.zip/zipped\.py:3 in f", ran.stderr)
    assert "   2 │     # in a zip" in ran.stderr


REBUILT = {
    "tblib": """
        import tblib

        def fails(x):
            return [1 / y for y in [x]]

        try:
            (lambda: fails(0))()
        except ZeroDivisionError as error:
            raise error.with_traceback(tblib.Traceback(error.__traceback__).as_traceback())
        """,
    "jinja": """
        import jinja2

        with open("page.html", "w") as file:
            file.write("{% macro share(x) %}\\n{{ 1 / x }}\\n{% endmacro %}\\n{{ share(0) }}\\n")
        jinja2.Environment(loader=jinja2.FileSystemLoader(".")).get_template("page.html").render()
        """,
}


@pytest.mark.parametrize("by", REBUILT)
def test_frames_that_were_made_anew_do_not_look_like_a_changed_file(run, by):
    ran = run(REBUILT[by])

    last = ["<module>", "<lambda>", "fails"] if by == "tblib" else ["template"]
    names = [head.partition(" in ")[2] for head in ran.heads]
    assert [name for name in names if name != "<listcomp>"][-len(last) :] == last
    assert "changed" not in ran.stderr


def test_code_that_a_notebook_compiles_itself_is_compared_with_no_file(run):
    """Under the file's name, of a cell's lines, and of a file that was just saved."""
    ran = run(
        """
        import os

        def cell(x):
            def ratio(a, b):
                return a / b
            return ratio(x, 0)

        os.utime(__file__, (2**31, 2**31))
        text = open(__file__).read().split(chr(10))
        at = text.index("def cell(x):")
        body = [line[4:] for line in text[at + 1 : at + 3]] + ["ratio(1, 0)"]
        exec(compile(chr(10) * (at + 1) + chr(10).join(body), __file__, "exec"), {"__name__": "__main__", "__file__": __file__})
        """,
        AUTOTB_STYLE="plain",
    )

    assert "in ratio\n    return a / b\n" in ran.stderr
    assert "changed" not in ran.stderr


def test_a_file_that_changed_since_it_was_imported(run):
    ran = run(
        """
        def f():
            return 1 / 0

        with open(__file__) as file:
            text = file.read()
        with open(__file__, "w") as file:
            file.write("# a new first line\\n\\n\\n" + text)
        f()
        """
    )

    assert "the file has changed since it was imported" in ran.stderr
    assert ran.last == "ZeroDivisionError: division by zero"


def test_chains_notes_and_suppressed_contexts(shows):
    def check(ran):
        assert "The above exception was the direct cause of the following exception:" in ran.lines
        assert ran.stderr.count("During handling of the above exception, another exception occurred:") == 1
        assert "LookupError: hidden" not in ran.lines
        order = [line for line in ran.lines if re.match(r"[A-Z]\w+Error: ", line)]
        assert order == ["KeyError: 'k'", "TypeError: second", "ValueError: third"]
        assert ran.last.startswith("caused by KeyError: 'k', at ") or ran.last.startswith("caused by TypeError: second, at ")

    shows(
        """
        def first():
            try:
                raise LookupError("hidden")
            except LookupError:
                raise KeyError("k") from None

        def second():
            try:
                first()
            except KeyError:
                raise TypeError("second")

        def third():
            try:
                second()
            except TypeError as error:
                raise ValueError("third") from error

        third()
        """,
        check,
    )


def test_notes_come_after_the_last_line(run):
    ran = run(
        """
        error = ValueError("x")
        error.__notes__ = ["first note", "second\\nnote"]
        raise error
        """
    )

    assert ran.lines[-4:] == ["ValueError: x", "first note", "second", "note"]


def test_suggestions_of_names(run):
    assert run("value = 1\nprint(valeu)\n").last == "NameError: name 'valeu' is not defined. Did you mean: 'value'?"


@pytest.mark.parametrize("kind", ["__str__", "__repr__"])
def test_an_exception_that_cannot_be_shown(run, kind):
    ran = run(f"class E(Exception):\n    def {kind}(self):\n        raise RuntimeError\nraise E('x')\n")

    assert ran.last == ("E: <exception str() failed>" if kind == "__str__" else "E: x")
    assert "╭" in ran.stderr


def test_a_grouped_story_of_a_hundred(run):
    ran = run(
        """
        import sys
        if sys.version_info < (3, 11):
            from exceptiongroup import ExceptionGroup

        def work(i):
            raise KeyError("id") if i % 3 else ValueError("v")

        errors = []
        for i in range(100):
            try:
                work(i)
            except Exception as error:
                errors.append(error)
        raise ExceptionGroup("many", errors)
        """
    )

    assert ran.last.endswith("ExceptionGroup: many (100 sub-exceptions)")
    assert "66 × KeyError: 'id', at " in ran.stderr
    assert "34 × ValueError: v, at " in ran.stderr
    assert len(ran.lines) < 60


def test_library_frames_fold_and_the_last_one_shows_where_it_was_raised(run):
    ran = run("import json\n\n\ndef f():\n    json.loads('{')\n\n\nf()\n")

    assert "… 2 frames in json, last at decoder.py:" in ran.stderr
    assert ran.heads[-1].startswith("decoder.py:")
    assert ran.last.startswith("json.decoder.JSONDecodeError: Expecting property name")

"""Printers of tracebacks with a look of their own: a worker's error has no engine's frame or text there, and says where it ran."""

from __future__ import annotations

import builtins
import concurrent.futures
import contextlib
import io
import linecache
import re
import sys

import pytest


def ratio(clicks, views):
    return clicks / views


def by_better_exceptions(error):
    printer = pytest.importorskip("better_exceptions")
    colours, printer.SUPPORTS_COLOR = printer.SUPPORTS_COLOR, False
    try:
        return "".join(printer.format_exception(type(error), error, error.__traceback__))
    finally:
        printer.SUPPORTS_COLOR = colours


def by_stackprinter(error):
    return pytest.importorskip("stackprinter").format(error)


def by_ultratb(error, mode="Context"):
    from IPython.core import ultratb

    try:
        printer = ultratb.FormattedTB(mode=mode, theme_name="nocolor")
    except TypeError:
        printer = ultratb.FormattedTB(mode=mode, color_scheme="NoColor")
    return printer.text(type(error), error, error.__traceback__)


def by_ultratb_verbose(error):
    return by_ultratb(error, "Verbose")


def by_ultratb_plain(error):
    return by_ultratb(error, "Plain")


def by_pretty_errors(error):
    hook = sys.excepthook
    printer = pytest.importorskip("pretty_errors")
    sys.excepthook = hook  # it puts its own there
    stream, before = io.StringIO(), printer.output_stderr
    printer.output_stderr = stream
    printer.configure(reset_stdout=False)
    try:
        printer.excepthook(type(error), error, error.__traceback__)
    finally:
        printer.output_stderr = before
    return stream.getvalue()


def by_friendly_traceback(error):
    getlines = linecache.getlines
    pytest.importorskip("friendly_traceback")
    linecache.getlines = getlines  # it puts its own there
    from friendly_traceback import core

    told = core.FriendlyTraceback(type(error), error, error.__traceback__)
    told.compile_info()
    return "\n".join([told.info["simulated_python_traceback"], *told.info.get("exception_notes", ())])


def by_tbvaccine(error):
    printer = pytest.importorskip("tbvaccine")
    stream = io.StringIO()
    with contextlib.redirect_stderr(stream):
        printer.TBVaccine(isolate=False).print_exception(type(error), error, error.__traceback__)
    return stream.getvalue()


PRINTERS = [show for name, show in list(globals().items()) if name.startswith("by_")]
OWN_CAUSES = [show for show in PRINTERS if show is not by_pretty_errors]  # which shows none
MEMBERS = [show for show in PRINTERS if show is not by_pretty_errors]  # which says what they are
ENGINES = ("_base.py", "__get_result", "_RemoteTraceback", "RemoteTraceback", "process.py")


def many():
    errors = []
    try:
        ratio(1, 0)
    except ZeroDivisionError as error:
        errors.append(error)
    try:
        int("x")
    except ValueError as error:
        errors.append(error)
    raise builtins.ExceptionGroup("two", errors)


class Kind(getattr(builtins, "ExceptionGroup", Exception)):
    pass


def many_of_a_kind():
    try:
        many()
    except builtins.ExceptionGroup as error:
        raise Kind("two", error.exceptions) from None


def failed(pool, function, *given, **named):
    try:
        pool.submit(function, *given, **named).result()
    except Exception as error:
        return error


@pytest.fixture(scope="module")
def pool():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def error(pool):
    return failed(pool, ratio, 1, views=0)


def said_by(show, error):
    return re.sub("\x1b\\[[0-9;]*m", "", show(error))


def is_told_once(text):
    assert not [name for name in ENGINES if name in text], text
    assert text.count("in a process-pool worker, pid") == 1, text
    assert "submitted at" in text and "ratio(clicks=1, views=0)" in text, text
    assert re.search("[34] engine frames hidden, AUTOTB_FRAMES=all", text), text
    assert "__autotb_hop__" not in text, text


@pytest.mark.parametrize("show", PRINTERS)
def test_a_workers_error_has_the_frames_of_a_direct_call(show, error):
    before = error.__traceback__, error.__cause__, dict(vars(error))

    text = said_by(show, error)

    is_told_once(text)
    assert "return clicks / views" in text
    assert text.index("return clicks / views") < text.index("in a process-pool worker")
    assert (error.__traceback__, error.__cause__, vars(error)) == before


@pytest.mark.parametrize("show", OWN_CAUSES)
def test_the_cause_of_the_programs_own_error(show, error):
    try:
        raise RuntimeError("outer") from error
    except RuntimeError as raised:
        outer = raised

    if sys.version_info < (3, 11) and show not in (by_stackprinter, by_ultratb, by_ultratb_verbose, by_ultratb_plain):
        return  # Python has no notes there
    text = said_by(show, outer)

    is_told_once(text)
    if show is by_friendly_traceback:  # it cuts what an error came out of; the notes would push out the frames
        assert text.index("return clicks / views") < text.index("RuntimeError: outer") < text.index("in a process-pool worker")
        assert "ZeroDivisionError: in a process-pool worker" in text
    else:
        assert text.index("return clicks / views") < text.index("in a process-pool worker") < text.index("RuntimeError: outer")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup came with Python 3.11")
@pytest.mark.parametrize("function", [many, many_of_a_kind])
@pytest.mark.parametrize("show", MEMBERS)
def test_members_of_a_workers_group_are_told_also_by_those_who_know_no_groups(show, function, pool):
    """The engine's text, which is left out, has them."""
    text = said_by(show, failed(pool, function))

    assert not [name for name in ENGINES if name in text], text
    assert text.count("return clicks / views") == 1, text
    assert text.count("invalid literal for int") == 1, text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup came with Python 3.11")
@pytest.mark.parametrize("show", MEMBERS)
def test_members_of_the_programs_own_group_say_where_they_ran(show, pool, error):
    try:
        raise builtins.ExceptionGroup("own", [error, failed(pool, int, "x")])
    except builtins.ExceptionGroup as raised:
        text = said_by(show, raised)

    assert not [name for name in ENGINES if name in text], text
    assert text.count("in a process-pool worker, pid") == 2, text
    assert text.count("ratio(clicks=1, views=0)") == 1, text


@pytest.mark.parametrize("show", PRINTERS)
def test_another_error_is_as_ever(show):
    try:
        ratio(1, 0)
    except ZeroDivisionError as raised:
        plain = raised

    text = said_by(show, plain)

    assert "return clicks / views" in text and "division by zero" in text
    assert "hidden" not in text and "worker" not in text.replace("_worker", "")


@pytest.mark.parametrize("show", PRINTERS)
def test_switched_off_it_is_the_engines(show, error, monkeypatch):
    monkeypatch.setenv("AUTOTB_TRACEBACK", "0")

    assert "submitted at" not in said_by(show, error)

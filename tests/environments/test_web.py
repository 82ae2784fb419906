"""The pages that web frameworks make of a worker's error while a program is being debugged, by their real releases."""

from __future__ import annotations

import re
import sys

import pytest

from tests import programs

COMMON = """
import html
import logging
import re
from concurrent.futures import ProcessPoolExecutor

logging.disable()


def ratio(clicks, views):
    return clicks / views


def fail(request=None):
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(ratio, 1, 0).result()


def many():
    try:
        ratio(2, 0)
    except ZeroDivisionError as error:
        raise ExceptionGroup("one", [error]) from None


def fail_together(request=None):
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(many).result()


def fail_of_it(request=None):
    try:
        fail()
    except ZeroDivisionError as error:
        raise RuntimeError("outer") from error


def text(page):
    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"(?s)<(style|script).*?</\\1>|<!--.*?-->", "", page))).replace("\xa0", " ")

"""
PAGES = {
    "werkzeug": """
from werkzeug.debug import DebuggedApplication
from werkzeug.test import Client


def app(environ, start_response):
    return fail()


if __name__ == "__main__":
    debugged = DebuggedApplication(app, evalex=True)
    print(text(Client(debugged).get("/").get_data(as_text=True)))
    for frame in debugged.frames.values():
        print("variables of", frame.name, sorted(frame.local_ns))
""",
    "starlette": """
from starlette.middleware.errors import ServerErrorMiddleware


if __name__ == "__main__":
    try:
        fail()
    except ZeroDivisionError as error:
        print(text(ServerErrorMiddleware(None, debug=True).generate_html(error).replace("<p>", " <p>").replace("<h2>", " <h2>")))
""",
    "django": """
from django.conf import settings
from django.test import Client
from django.urls import path

settings.configure(DEBUG=True, SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
import django

django.setup()
urlpatterns = [path("", fail), path("together", fail_together), path("of_it", fail_of_it)]

if __name__ == "__main__":
    for name in ("", "together", "of_it"):
        print("===", name or "alone")
        page = Client(raise_request_exception=False).get("/" + name, headers={"accept": "text/html"}).content.decode()
        print(text(page.partition('id="traceback"')[0]))
        print("--- copied")
        print(text(page.partition('id="traceback_area"')[2].partition("</textarea>")[0]))
""",
}


@pytest.fixture(scope="module", params=PAGES)
def pages(request, tmp_path_factory):
    pytest.importorskip(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    ours, bare = (programs.run(folder, COMMON + PAGES[request.param], autotb=autotb, PYTHONWARNINGS="") for autotb in "10")
    assert (ours.status, bare.status) == (0, 0), ours.stderr + bare.stderr
    return request.param, ours.stdout, bare.stdout


def test_the_page_has_the_workers_frame_where_it_ran_and_no_engine(pages):
    _, ours, bare = pages
    engines = ("_base.py", "_RemoteTraceback", "__get_result", "_process_worker")

    assert re.search(r"in a process-pool worker, pid \d+, submitted at \S*main.py:\d+ in fail", ours)
    assert "ratio(clicks=1, views=0)" in ours
    assert "return clicks / views" in ours
    assert re.search(r"\d engine frames hidden, AUTOTB_FRAMES=all", ours)
    assert not any(own in ours for own in engines)
    assert any(own in bare for own in engines)


def test_each_frame_of_werkzeugs_has_its_own_variables(pages):
    tool, ours, _ = pages
    if tool != "werkzeug":
        pytest.skip("Werkzeug's alone can be asked for them")
    variables = dict(re.findall(r"^variables of (\S+) (.*)$", ours, re.M))

    assert variables["app"] == "['environ', 'start_response']"
    assert variables["fail"] == "['pool', 'request']"
    assert variables["ratio"] == "['__autotb_hop__', 'clicks', 'views']"
    if sys.version_info >= (3, 11):  # once on the page, and once in the text for copying
        assert ours.count("[ratio(clicks=1, views=0)]") == 0


def test_djangos_page_has_the_members_of_a_group_and_where_a_cause_ran(pages):
    """It knows no groups, and shows the notes of the last error alone."""
    tool, *texts = pages
    if tool != "django" or sys.version_info < (3, 11):
        pytest.skip("Django's alone, with notes")
    ours, bare = (dict(re.findall(r"^=== (\w+)\n(.*?)(?=^=== |\Z)", text, re.M | re.S)) for text in texts)
    together, bare_together = (each["together"].partition("--- copied")[2] for each in (ours, bare))

    assert together.count("return clicks / views") == bare_together.count("return clicks / views") == 1
    assert "ZeroDivisionError: in a process-pool worker, pid" in ours["of_it"].partition("--- copied")[2]
    assert "ratio(clicks=1, views=0)" in ours["of_it"].partition("--- copied")[2]

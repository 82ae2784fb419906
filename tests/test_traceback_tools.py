"""Programs that show errors by themselves: their real releases tell of an error from a process pool where it was raised, and of what."""

import re
import sys

import pytest

WORK = """
def ratio(clicks, views):
    share = clicks / views
    return share


def score(item):
    weight = 2
    return ratio(item["clicks"], item["views"]) * weight
"""

PROGRAM = f"""
import io, json, logging, os, sys, traceback
from concurrent.futures import ProcessPoolExecutor, wait

open("work.py", "w").write({WORK!r})
import work

ITEM = {{"clicks": 3, "views": 0}}


def shown_by_traceback(error):
    return "".join(traceback.format_exception(error))


def shown_by_logging(error):
    stream = io.StringIO()
    logger = logging.getLogger("plain")
    logger.addHandler(logging.StreamHandler(stream))
    logger.propagate = False
    logger.error("failed", exc_info=error)
    return stream.getvalue()


def shown_by_rich(error):
    from rich.console import Console
    from rich.traceback import Traceback

    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True))
    return console.file.getvalue()


def shown_by_rich_handler(error):
    from rich.console import Console
    from rich.logging import RichHandler

    stream = io.StringIO()
    logger = logging.getLogger("rich")
    logger.addHandler(RichHandler(rich_tracebacks=True, console=Console(file=stream, width=120, color_system=None)))
    logger.propagate = False
    logger.error("failed", exc_info=error)
    return stream.getvalue()


def shown_by_typer(error):
    import typer

    def command():
        raise error

    app = typer.Typer()
    app.command()(command)
    before = sys.argv, sys.stderr, sys.excepthook
    sys.argv, sys.stderr = ["command"], io.StringIO()
    try:
        app()
    except ZeroDivisionError as raised:
        sys.excepthook(type(raised), raised, raised.__traceback__)
    finally:
        shown = sys.stderr.getvalue()
        sys.argv, sys.stderr, sys.excepthook = before
        error.__traceback__ = TRACEBACK
    return shown


def shown_by_hydra(error):
    import hydra

    def job(config):
        raise error

    before = sys.argv, sys.stderr
    sys.argv, sys.stderr = ["main.py", "hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=disabled", "hydra/hydra_logging=disabled"], io.StringIO()
    try:
        hydra.main(version_base=None, config_path=None)(job)()
    except SystemExit:
        pass
    finally:
        shown = sys.stderr.getvalue()
        sys.argv, sys.stderr = before
        error.__traceback__ = TRACEBACK
    return shown


def shown_by_loguru(error):
    from loguru import logger

    stream = io.StringIO()
    logger.remove()
    logger.add(stream, colorize=False, backtrace=False)
    logger.opt(exception=error).error("failed")
    return stream.getvalue()


def shown_by_structlog(error):
    import structlog

    found = structlog.tracebacks.ExceptionDictTransformer(show_locals=True)((type(error), error, error.__traceback__))
    return json.dumps(found, indent=1)


def shown_by_structlog_text(error):
    import structlog

    return structlog.processors.format_exc_info(None, None, {{"exc_info": error}})["exception"]


def shown_by_better_exceptions(error):
    import better_exceptions

    better_exceptions.SUPPORTS_COLOR = False
    return "".join(better_exceptions.format_exception(type(error), error, error.__traceback__))


def shown_by_stackprinter(error):
    import stackprinter

    return stackprinter.format(error)


def shown_by_ipython(error):
    from IPython.core import ultratb

    try:
        printer = ultratb.FormattedTB(mode="Verbose", theme_name="nocolor")
    except TypeError:
        printer = ultratb.FormattedTB(mode="Verbose", color_scheme="NoColor")
    return printer.text(type(error), error, error.__traceback__)


def shown_by_sentry(error):
    import sentry_sdk
    from sentry_sdk.transport import Transport

    kept = []

    class Kept(Transport):
        def capture_envelope(self, envelope):
            kept.append(envelope.get_event())

        def flush(self, *args, **more):
            pass

    sentry_sdk.init("https://public@sentry.invalid/1", transport=Kept, default_integrations=False)
    sentry_sdk.capture_exception(error)
    frames = kept[0]["exception"]["values"][-1]["stacktrace"]["frames"]
    return json.dumps(frames[-2:], indent=1)


def shown_by_rollbar(error):
    import rollbar

    kept = []
    rollbar.send_payload = lambda payload, access_token: kept.append(payload)
    rollbar.init("token", handler="blocking")
    rollbar.report_exc_info((type(error), error, error.__traceback__))
    return json.dumps(kept[0]["data"], indent=1, default=str)


def shown_by_opentelemetry(error):
    from opentelemetry.sdk import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = trace.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with provider.get_tracer("test").start_as_current_span("step") as span:
        span.record_exception(error)
    ((event,),) = [span.events for span in kept.get_finished_spans()]
    return "\\n".join(f"{{name}}: {{value}}" for name, value in event.attributes.items())


def shown_by_pdb(error):
    import pdb

    stream = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("where\\nargs\\np views\\np locals()\\nlist\\nll\\nup\\np item, weight\\ndown\\nq\\n"), stdout=stream)
    debugger.use_rawinput = False
    debugger.reset()
    debugger.interaction(None, error.__traceback__)
    return stream.getvalue()


if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        try:
            future = pool.submit(work.score, ITEM)
            wait([future])  # where result() raises depends on whether it has come
            future.result()
        except ZeroDivisionError as caught:
            error = caught
            TRACEBACK = error.__traceback__
    if "gone" in sys.argv:
        os.remove("work.py")
    for name, show in list(globals().items()):
        if name.startswith("shown_by_"):
            print("===", name.removeprefix("shown_by_"))
            try:
                print(show(error), flush=True)
            except Exception:
                traceback.print_exc(file=sys.stdout)
"""
TEXT = ['work.py", line 9, in score', "share = clicks / views"]
RICH = ["in ratio", "❱  3 │   share = clicks / views"]
TOOLS = {
    "traceback": TEXT,
    "logging": TEXT,
    "rich": [*RICH, "clicks = 3", "views = 0", "weight = 2"],
    "rich_handler": RICH,
    "typer": RICH,
    "hydra": TEXT,
    "loguru": ["line 3, in ratio", "share = clicks / views", "-> 0", "-> 3"],
    "structlog": ['"name": "ratio"', '"views": "0"', '"weight": "2"'],
    "structlog_text": TEXT,
    "better_exceptions": ["line 3, in ratio", "share = clicks / views", "└ 0", "└ 3"],
    "stackprinter": ["line 3, in ratio", "--> 3", "clicks = 3", "views = 0"],
    "ipython": [
        "in ratio(clicks=3, views=0)",
        "----> 3     share = clicks / views",
        "(item={'clicks': 3, 'views': 0})",
    ],
    "sentry": ['"function": "ratio"', '"context_line": "    share = clicks / views"', '"views": "0"', '"module": "work"'],
    "rollbar": [
        '"method": "ratio"',
        '"code": "share = clicks / views"',
        '"fingerprint": "ZeroDivisionError work ratio"',
        '"views": "0"',
    ],
    "opentelemetry": TEXT,
    "pdb": ["work.py(3)ratio()", "views = 0", "  3  ->", "-> return ratio(item", "({'clicks': 3, 'views': 0}, 2)"],
}


# Those with a door of their own: where the worker ran, what it was given, how many frames are hidden; in the place where it belongs,
# or with the notes.
DOORS = ("traceback", "logging", "rich", "rich_handler", "typer", "hydra", "loguru", "structlog", "structlog_text")
DOORS += ("better_exceptions", "stackprinter", "ipython")
BELOW = ("loguru", "better_exceptions", "stackprinter", "ipython")  # below the message
ENGINES = ("_base.py", "__get_result", "_RemoteTraceback", "process.py")

if sys.version_info >= (3, 14):  # it is not for this Python
    del TOOLS["hydra"]
    DOORS = tuple(tool for tool in DOORS if tool != "hydra")


@pytest.fixture(scope="module", params=["here", "gone"])
def shown(request, tmp_path_factory):
    """What each tool says with autotb and without; the file of the code is here, or only the worker had it."""
    from tests import programs

    ours, bare = (programs.run(tmp_path_factory.mktemp("shown"), PROGRAM, request.param, autotb=autotb) for autotb in "10")
    assert (ours.status, ours.stderr) == (bare.status, bare.stderr) == (0, "")
    return by_tool(ours.stdout), by_tool(bare.stdout)


def by_tool(text):
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in re.split(r"^=== ", text, flags=re.M) if part}


def unfolded(text):
    """On one line: where the path of the folder is long, lines are folded at other places, and within a box."""
    return re.sub(r"[│\s]+", " ", text)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_shows_the_workers_frames(shown, tool):
    ours, bare = (part[tool].rpartition('"""')[2] for part in shown)  # after the engine's own text

    wanted = (
        TOOLS[tool][:2] if tool == "better_exceptions" and sys.version_info >= (3, 13) else TOOLS[tool]
    )  # it has no values there
    for text in wanted:
        assert unfolded(text) in unfolded(ours), (text, ours)
    assert not any(unfolded(text) in unfolded(bare) for text in TOOLS[tool][:2]), bare


@pytest.mark.parametrize("tool", ["pdb", "sentry"])
def test_a_frame_says_once_that_its_values_are_texts(shown, tool):
    ours, _ = (part[tool] for part in shown)

    assert ours.count("these values are texts") == {"pdb": 1, "sentry": 2}[tool]


@pytest.mark.parametrize("tool", DOORS)
def test_a_tool_with_a_door_shows_no_engine_and_where_the_worker_ran(shown, tool):
    ours, bare = (part[tool] for part in shown)
    said = unfolded(ours)
    where = re.search(r"in a process-pool worker, pid \d+, submitted at [^,]*?main.py:\d+ in <module>", said)
    call = said.rfind("score(item={'clicks': 3, 'views': 0})")

    if sys.version_info >= (3, 11) or tool != "structlog":  # Python 3.10 has no notes
        assert where and call > where.end() - 1, ours
        assert tool == "structlog" or (where.start() > said.index("in ratio")) == (tool in BELOW), ours
        assert "engine frames hidden, AUTOTB_FRAMES=all" in said
    if tool == "stackprinter":  # whose values say in which file a method is
        ours = "\n".join(line for line in ours.split("\n") if not line.startswith(" "))
    assert not any(own in ours for own in ENGINES), ours
    assert any(own in bare for own in ENGINES), bare


@pytest.mark.parametrize("tool", ["rollbar", "opentelemetry"])
def test_a_tracker_is_told_where_the_worker_ran(shown, tool):
    ours, bare = (part[tool] for part in shown)

    assert re.search(r"""worker"?: "?in a process-pool worker""", ours), ours
    assert re.search(r"""submitted"?: "?\S*main.py:\d+ in <module>""", ours), ours
    assert re.search(r"""call"?: "?score\(item={'clicks': 3, 'views': 0}\)""", ours), ours
    assert not any(own in ours for own in ENGINES[:3]), ours
    assert any(own in bare for own in ENGINES[:3]), bare

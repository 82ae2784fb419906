"""autotb: every error of parallel Python as the one short traceback of a direct call.

Start-up imports this package, so it holds nothing but the public names; ``api`` loads each when it is first used (PEP 562).
"""

__version__ = "0.1.0"
__all__ = [
    "Collected",
    "ErrorContext",
    "ErrorInfo",
    "ErrorSnapshot",
    "ErrorStub",
    "Failure",
    "Flow",
    "PropagatedErrorSnapshot",
    "Reason",
    "ResourcesEval",
    "Trace",
    "WorkerDied",
    "collect",
    "collect_async",
    "excepthook",
    "explain",
    "imap",
    "install",
    "load",
    "map",
    "map_async",
    "step",
    "uninstall",
    "unwrap",
    "unwrap_parsl_future",
    "unwrap_with_retry",
]


# ``from autotb import settings`` asks the package first: were that to raise, debuggers that stop at errors would stop here.
_PARTS = (
    "_triggers", "api", "aside", "assumption", "boot", "cli", "engine_facts", "engines", "environments", "first_use", "flow",
    "frozen", "futures", "hooks", "import_hook", "imports", "instrument", "own_finder", "plain_errors", "postmortem", "project",
    "record", "render", "runtime", "settings", "surface", "trace", "uncaught",
)  # fmt: skip


def __getattr__(name):  # type: ignore[no-untyped-def]
    if name in _PARTS:
        return __import__("autotb." + name, fromlist=("__name__",))
    if name not in __all__:
        raise AttributeError(f"module 'autotb' has no attribute {name!r}")
    from autotb.api import load

    return load(name)


def __dir__():  # type: ignore[no-untyped-def]
    return sorted({*globals(), *__all__})

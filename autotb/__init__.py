"""autotb: every error of parallel Python as the one short traceback of a direct call.

Start-up imports this package, so it holds nothing but the table of public names; each is loaded when first used (PEP 562).
"""

__version__ = "0.1.0"

_HOME = {
    "install": "autotb.hooks.interpreter",
    "uninstall": "autotb.hooks.interpreter",
    "excepthook": "autotb.hooks.interpreter",
    "explain": "autotb.render",
    "Trace": "autotb.trace.model",
}
__all__ = ["Trace", "__version__", "excepthook", "explain", "install", "uninstall"]


def __getattr__(name):  # type: ignore[no-untyped-def]
    if name not in _HOME:
        raise AttributeError(f"module 'autotb' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__():  # type: ignore[no-untyped-def]
    return sorted({*globals(), *__all__})

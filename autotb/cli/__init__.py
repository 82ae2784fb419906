"""The command line: ``run``, ``demo``, ``doctor``, ``show``, ``report``, ``rerun``; each a module of its own."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from autotb import __version__


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    main = argparse.ArgumentParser(
        prog="autotb", description="Every error of parallel Python as the one short traceback of a direct call."
    )
    main.add_argument("--version", action="version", version=f"autotb {__version__}")
    commands = main.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("run", help="run a program under autotb: run script.py …, run -m module …, run -c code …", add_help=False)
    demo = commands.add_parser("demo", help="watch a real parallel job fail, as Python shows it and as autotb does")
    demo.add_argument("--engine", default="processes", help="which engine (default: processes); 'list' lists them")
    doctor = commands.add_parser("doctor", help="what autotb does in this environment, and whether all is well")
    doctor.add_argument("--json", action="store_true", help="as JSON")
    doctor.add_argument("--engine", help="ask this engine's real workers: parsl, dask, ray, processes …")
    doctor.add_argument("--config", metavar="FILE", help="a Python file that defines config (Parsl), client (Dask) or executor")
    doctor.add_argument(
        "--import", action="append", default=[], dest="modules", metavar="MODULE", help="a module that the workers are to import"
    )
    doctor.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="how long to wait for the workers")
    show = commands.add_parser("show", help="print a failure again that was kept in a file, or how far a flow's run is")
    show.add_argument(
        "file",
        help="of AUTOTB_DIR, of unwrap(log_to=…), of collect's to_json() or jsonl=…, of AUTOTB_STYLE=json, a run folder, "
        "or - for text on stdin that has tracebacks in it",
    )
    show.add_argument("--failed", action="store_true", help="list the calls that failed in a run folder, by what they failed of")
    report = commands.add_parser("report", help="one HTML page for the failures of a night, grouped by root cause")
    report.add_argument(
        "paths", nargs="+", metavar="PATH", help="a folder of AUTOTB_DIR, a run folder, collect's JSON lines, or a folder of such"
    )
    report.add_argument("-o", "--output", default="report.html", metavar="FILE", help="(default: report.html; - is stdout)")
    rerun = commands.add_parser("rerun", help="call a failed function again, alone, in this process")
    rerun.add_argument(
        "file", help="a kept story that names its inputs, the inputs (AUTOTB_DIR with AUTOTB_KEEP_INPUTS=1), or a run folder"
    )
    rerun.add_argument("step", nargs="?", help="of a run folder: the step whose call failed")
    rerun.add_argument(
        "index", nargs="*", help="and the number of its element, counted from 0, or in an array its index along each axis"
    )
    rerun.add_argument("--pdb", action="store_true", help="start the debugger where the error is raised")
    rerun.add_argument("--trust", action="store_true", help="unpickle a file that others could have written")
    return main


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit status."""
    if arguments and arguments[0] == "run":
        return _command("run", list(arguments[1:]))
    options = parser().parse_args(arguments)
    if options.command == "doctor":
        from autotb.cli import checkup

        problems = checkup.installation()  # before anything is imported that may be the fault
        if problems:
            return checkup.tell(problems, as_json=options.json)
    return _command(options.command, options)


def _command(name: str, options: object) -> int:
    status: int = importlib.import_module(f"autotb.cli.{name}").command(options)
    return status

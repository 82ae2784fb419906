"""``python -m tests.matrix [--list] [NAME …]``: the engines' tests on their oldest versions in wide use, and on their newest.

Each row is a fresh virtual environment made by uv: autotb, pytest, the engine at that version, and the test module that is the
engine's.  The newest versions are what CI installs; ``--newest`` runs them here too.  Exit status 1 if a row fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT = 1500  # seconds a row
DEATHS = "../postmortem/test_engines.py"

#: name: (Python, requirements of the oldest versions, requirements of the newest, the test module and pytest's arguments).
ROWS: dict[str, tuple[str, list[str], list[str], list[str]]] = {
    "joblib": (
        "3.11",
        ["joblib==1.2.0", "loky==3.4.1", "scikit-learn<1.6", "numpy<2"],
        ["joblib", "loky", "scikit-learn"],
        ["test_joblib.py"],
    ),
    "joblib 1.3": ("3.11", ["joblib==1.3.2", "loky", "scikit-learn<1.6", "numpy<2"], ["joblib", "loky"], ["test_joblib.py"]),
    "dask": (
        "3.11",
        ["dask[array,dataframe]==2023.5.0", "distributed==2023.5.0", "pandas<2.1", "numpy<1.26"],
        ["dask[array,dataframe,distributed]"],
        ["test_dask.py", DEATHS, "-k", "dask"],
    ),
    "ray": ("3.11", ["ray==2.9.3", "setuptools<80"], ["ray"], ["test_ray.py", DEATHS, "-k", "ray or actor"]),
    "parsl": ("3.11", ["parsl==2024.11.18"], ["parsl"], ["test_parsl.py", DEATHS, "-k", "parsl or bash"]),
    "parsl 2025": ("3.11", ["parsl==2025.9.1"], ["parsl"], ["test_parsl.py", DEATHS, "-k", "parsl or bash"]),
    "multiprocess": (
        "3.11",
        ["multiprocess==0.70.15", "pathos==0.3.1", "dill==0.3.7"],
        ["multiprocess", "pathos"],
        ["test_multiprocess.py"],
    ),
    "mpire": ("3.11", ["mpire==2.9.0"], ["mpire"], ["test_mpire.py", DEATHS, "-k", "mpire"]),
    "pebble": ("3.11", ["pebble==5.0.3"], ["pebble"], ["test_pebble.py", DEATHS, "-k", "pebble"]),
    "speedy-utils": ("3.11", ["speedy-utils==2.0.5"], ["speedy-utils"], ["test_speedy_utils.py"]),
    "pipefunc": (
        "3.11",
        ["pipefunc==0.86.0", "rich"],
        ["pipefunc"],
        ["test_pipefunc.py"],
    ),
    "executorlib": ("3.11", ["executorlib==1.5.3", "h5py", "networkx"], ["executorlib", "h5py"], ["test_executorlib.py"]),
    "celery": ("3.11", ["celery==5.3.6", "setuptools<80"], ["celery"], ["test_celery.py"]),
    "datasets": (
        "3.11",
        ["datasets==2.14.7", "fsspec<2023.11", "pyarrow<15", "numpy<2", "huggingface-hub<0.24"],
        ["datasets"],
        ["test_datasets.py"],
    ),
    "pyspark": ("3.11", ["pyspark==3.5.1", "setuptools<80"], ["pyspark"], ["test_pyspark.py"]),
    "ipyparallel": ("3.11", ["ipyparallel==8.6.1", "ipykernel<7"], ["ipyparallel"], ["test_ipyparallel.py"]),
    "prefect": (
        "3.11",
        ["prefect==3.0.11", "fastapi<0.115", "pydantic<2.10", "griffe<2"],
        ["prefect", "fastapi<0.120"],
        ["test_prefect.py"],
    ),
    "hamilton": ("3.11", ["sf-hamilton==1.80.0"], ["sf-hamilton"], ["test_hamilton.py"]),
    "gevent": ("3.11", ["gevent==22.10.2", "setuptools<80"], ["gevent"], ["test_gevent.py"]),
    "trio and AnyIO": ("3.11", ["trio==0.25.0", "anyio==4.3.0"], ["trio", "anyio"], ["test_trio_and_anyio.py"]),
    "torch": ("3.11", ["torch==2.0.1", "numpy<2"], ["torch"], ["test_torch.py", DEATHS, "-k", "torch or batches"]),
    "mpi4py": ("3.11", ["mpi4py==4.1.0"], ["mpi4py"], ["test_mpi4py.py"]),
}


def main() -> int:
    """Run the rows that are asked for; a table at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", help="rows to run (default: all)")
    parser.add_argument("--newest", action="store_true", help="the newest versions instead of the oldest")
    parser.add_argument("--list", action="store_true", help="show the rows")
    options = parser.parse_args()
    chosen = {name: row for name, row in ROWS.items() if not options.names or name in options.names}
    if options.list:
        for name, (python, oldest, _, _) in chosen.items():
            sys.stdout.write(f"{name:16} Python {python}  {', '.join(oldest)}\n")
        return 0
    results = {name: _run(name, row, options.newest) for name, row in chosen.items()}
    sys.stdout.write("\n".join(f"{name:16} {result}" for name, result in results.items()) + "\n")
    return int(any("passed" not in result or "failed" in result for result in results.values()))


def _run(name: str, row: tuple[str, list[str], list[str], list[str]], newest: bool) -> str:
    version, oldest, latest, tests = row
    with tempfile.TemporaryDirectory(prefix="autotb-matrix-", ignore_cleanup_errors=True) as folder:
        environment = Path(folder) / "environment"
        python = environment / "bin" / "python"
        uv = [sys.executable, "-m", "uv"]
        wanted = ["pytest>=8", "pytest-timeout", "pytest-xdist", "cloudpickle", "dill", "numpy", *(latest if newest else oldest)]
        steps = [
            [*uv, "venv", "-q", "--python", version, str(environment)],
            [*uv, "pip", "install", "-q", "--python", str(python), "-e", str(ROOT), *wanted],
        ]
        for step in steps:
            done = subprocess.run(step, check=False, capture_output=True, text=True, timeout=LIMIT)
            if done.returncode:
                return f"not installed: {done.stderr.strip()[-300:]}"
        files = [f"tests/engines/{file}" if file.endswith(".py") else file for file in tests]
        kept = {key: value for key, value in os.environ.items() if key not in ("AUTOTB", "PYTHONPATH")}
        path = f"{environment / 'bin'}{os.pathsep}{kept.get('PATH', '')}"
        try:
            done = subprocess.run(
                [str(python), "-m", "pytest", "-n", "2", "--dist", "loadscope", "-W", "default", *files],
                check=False,
                capture_output=True,
                text=True,
                timeout=LIMIT,
                cwd=ROOT,
                env={**kept, "PATH": path, "ENGINES": "newest" if newest else "oldest"},
            )
        except subprocess.TimeoutExpired:
            return f"not done within {LIMIT} s"
        lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED") or " passed" in line or " failed" in line]
        sys.stdout.write(f"== {name}\n" + "\n".join(lines) + "\n")
        sys.stdout.flush()
        return lines[-1] if lines else f"no result: {done.stdout[-300:]} {done.stderr[-300:]}"


if __name__ == "__main__":
    sys.exit(main())

"""Workers go by what the driver read of its pyproject.toml, also where engines start them as programs of their own."""

from __future__ import annotations

import pytest

from tests import programs

ANSWER = """\
import os, sys


def answer(*_):
    from autotb import settings

    return settings.value("context"), settings.switch("args")


def ask(how):
    if how == "parsl":
        import parsl
        from parsl.executors import HighThroughputExecutor
        from parsl.providers import LocalProvider

        provider = LocalProvider(init_blocks=1, max_blocks=1)
        executor = HighThroughputExecutor(max_workers_per_node=1, address="127.0.0.1", provider=provider)
        with parsl.load(parsl.Config(executors=[executor], strategy="none")):
            return parsl.python_app(answer)().result()
    if how == "executorlib":
        from executorlib import SingleNodeExecutor

        with SingleNodeExecutor(max_workers=1) as executor:
            return executor.submit(answer).result()
    if how == "ipyparallel":
        import ipyparallel

        with ipyparallel.Cluster(n=1, log_level=40) as engines:
            return engines[0].apply_sync(answer)
    if how == "distributed":
        from distributed import Client

        with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
            return client.submit(answer).result()
    from pyspark import SparkContext

    with SparkContext("local[1]") as spark:
        return spark.parallelize([1], 1).map(answer).first()


if __name__ == "__main__":
    import os

    os.chdir("elsewhere")
    answered = ask(sys.argv[1])
    print(answered, [name for name in os.environ if name.startswith("_AUTOTB")])
"""


@pytest.mark.on_main("parsl")
@pytest.mark.parametrize(
    "engine",
    ["parsl", "executorlib", "ipyparallel", "distributed", pytest.param("pyspark", marks=programs.needs("java"))],
)
def test_programs_that_an_engine_starts_go_by_what_the_driver_read(tmp_path, engine):
    """Whatever file lies in the folder in which they run; the driver's own environment stays as it was."""
    pytest.importorskip(engine)
    (tmp_path / "pyproject.toml").write_text("[tool.autotb]\ncontext = 5\nargs = false\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "pyproject.toml").write_text("[tool.autotb]\ncontext = 9\n")
    ran = programs.run(tmp_path, ANSWER, engine, SPARK_LOCAL_IP="127.0.0.1")

    assert ran.stdout.splitlines()[-1] == "(5, False) []", ran.stderr

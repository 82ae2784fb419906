"""Parsl runs a chain of apps on its worker processes; the first one fails."""

import parsl
from parsl import Config, python_app
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider


@python_app
def load(views):
    def rate(clicks):
        return clicks / views

    return rate(3)


@python_app
def clean(value):
    return round(value, 3)


@python_app
def report(value):
    return f"rate: {value}"


def main():
    executor = HighThroughputExecutor(
        max_workers_per_node=2, address="127.0.0.1", cpu_affinity="none", provider=LocalProvider(init_blocks=1, max_blocks=1)
    )
    with parsl.load(Config(executors=[executor], initialize_logging=False)):
        return report(clean(load(0))).result()


if __name__ == "__main__":
    main()

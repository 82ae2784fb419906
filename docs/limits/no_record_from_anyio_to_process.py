"""AnyIO's ``to_process``: the worker is ``python -m anyio.to_process``, so that no import of it can be hooked, and the exception
travels bare.

Needs ``anyio``.
"""

import anyio
from anyio import to_process


def main():
    try:
        anyio.run(to_process.run_sync, divmod, 1, 0)
    except ZeroDivisionError as error:
        print("what came along:", vars(error), "cause:", error.__cause__)


if __name__ == "__main__":
    main()

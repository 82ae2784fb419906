"""Hamilton computes a node of a graph of functions; one of its inputs is bad."""

import sys

from hamilton import driver


def rate(clicks: int, views: int) -> float:
    return clicks / views


def score(rate: float) -> float:
    return round(rate, 3)


def main() -> dict:
    made = driver.Builder().with_modules(sys.modules["__main__"]).build()
    return made.execute(["score"], inputs={"clicks": 3, "views": 0})


if __name__ == "__main__":
    main()

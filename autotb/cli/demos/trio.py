"""A nursery runs eight tasks; one of them fails."""

import trio

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


async def child(item):
    await trio.sleep(0.01)
    score(item)


async def work():
    async with trio.open_nursery() as nursery:
        for item in ITEMS:
            nursery.start_soon(child, item)


def main():
    trio.run(work)


if __name__ == "__main__":
    main()

"""A task group runs eight calls in threads; one of them fails."""

import anyio

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


async def work():
    async with anyio.create_task_group() as tasks:
        for item in ITEMS:
            tasks.start_soon(anyio.to_thread.run_sync, score, item)


def main():
    anyio.run(work)


if __name__ == "__main__":
    main()

"""asyncio fetches 300 items at once; one of them is bad."""

import asyncio

ITEMS = [{"id": n, "clicks": n % 7, "views": 500 - n} for n in range(300)]
ITEMS[217]["views"] = 0


def rate(clicks, views):
    return clicks / views


async def score(item):
    await asyncio.sleep(0.01)
    return item["id"], rate(item["clicks"], item["views"])


async def main():
    return await asyncio.gather(*(score(item) for item in ITEMS))


if __name__ == "__main__":
    asyncio.run(main())

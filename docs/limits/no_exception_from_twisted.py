"""Twisted: errors pass as ``Failure`` objects from callback to callback; no exception leaves the reactor.

Needs ``twisted``.
"""

from twisted.internet import defer, task, threads


def rate(clicks, views):
    return clicks / views


@defer.inlineCallbacks
def work(reactor):
    yield threads.deferToThread(rate, 3, 0)


if __name__ == "__main__":
    try:
        task.react(work)
    except SystemExit as leaving:
        print("what leaves the reactor:", repr(leaving), "with the cause", leaving.__cause__)

"""When a step is ready, and that finding out costs as much as there are steps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from autotb.flow.schedules import SCHEDULES, Eager, Generation


def node(name, *before, generation=0):
    return SimpleNamespace(name=name, predecessors=frozenset(before), generation=generation)


A, B, C, D = node("a"), node("b"), node("c", "a", generation=1), node("d", "a", "c", generation=2)


def names(nodes):
    return [one.name for one in nodes]


def test_eager_a_step_is_ready_once_its_own_inputs_are_there():
    schedule = Eager([A, B, C, D])

    assert names(schedule.first()) == ["a", "b"]
    assert names(schedule.done(A)) == ["c"]
    assert names(schedule.done(C)) == ["d"]
    assert names(schedule.done(B)) == names(schedule.done(D)) == []


def test_in_generations_a_step_is_ready_once_all_are_done_that_are_nearer_to_the_start():
    schedule = Generation([A, B, C, D])

    assert names(schedule.first()) == ["a", "b"]
    assert names(schedule.done(A)) == []
    assert names(schedule.done(B)) == ["c"]
    assert names(schedule.done(C)) == ["d"]
    assert names(schedule.done(D)) == []


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_flow_without_steps(kind):
    assert SCHEDULES[kind]([]).first() == []


@pytest.mark.parametrize("kind", SCHEDULES)
def test_no_step_is_looked_at_more_often_for_the_others(kind):
    class Counted:
        looked = 0

        def __init__(self, number):
            self.name, self.generation = f"n{number}", number
            self.predecessors = frozenset([f"n{number - 1}"] if number else [])

        def __getattribute__(self, name):
            Counted.looked += 1
            return object.__getattribute__(self, name)

    def looks(count):
        Counted.looked = 0
        schedule = SCHEDULES[kind]([Counted(number) for number in range(count)])
        ready, done = list(schedule.first()), 0
        while ready:
            ready += schedule.done(ready.pop())
            done += 1
        assert done == count
        return Counted.looked

    assert looks(400) <= 4 * looks(100) + 20

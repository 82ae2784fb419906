"""Errors that Ray makes in place of a result; real ones are in ``test_returned``."""

from __future__ import annotations

import sys

from autotb.engines.ray import deaths, unrun
from autotb.record.capture import attached


def test_an_error_that_the_program_makes_itself_is_left_alone():
    import ray.exceptions

    for patch in unrun.patches({}, {}, deaths.DESERIALIZE):
        name = patch.qualname.partition(".")[0]
        error = Exception.__new__(getattr(ray.exceptions, name))
        made = patch.wrap(lambda self: None)
        made(error)
        assert attached(error) is None, name


def test_one_that_is_made_of_a_result_has_the_tasks_call_and_place():
    class Task:
        def binary(self):
            return b"task"

        def hex(self):
            return "7461"

        def actor_id(self):
            return self

    class Reference:
        def task_id(self):
            return Task()

    def _deserialize_object(object_ref, wrap):
        error = Exception("Could not create the actor")
        stands_in(wrap(lambda self: None), error)
        return error

    def stands_in(function, error):
        function(error)

    site = sys._getframe().f_code, 0
    patches = unrun.patches({b"task": site}, {}, deaths.DESERIALIZE)
    records = {patch.qualname: attached(_deserialize_object(Reference(), patch.wrap)) for patch in patches}

    assert {name for name, record in records.items() if record.get("unsent")} == {f"{name}.__init__" for name in unrun._NOT_RUN}
    assert all(
        record["hops"][0]["submitted"]["name"] == "test_one_that_is_made_of_a_result_has_the_tasks_call_and_place"
        for record in records.values()
    )

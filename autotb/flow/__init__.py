"""Error flow: ``map`` and ``Flow``, in which the errors of the user's functions are values that are passed on with their causes.

Flows in: functions, their inputs, an executor.  Flows out: results, among them ``ErrorSnapshot`` and ``PropagatedErrorSnapshot``.
"""

"""The published form of records and stories, read from ``record/schema.py``: the tables of ``docs/record.md``, and the JSON
Schema of ``Trace.to_dict()``.

Flows in: the source of the schema, whose comments say what each key holds.  Flows out: Markdown and JSON.
"""

from __future__ import annotations

import ast
import inspect
import json
from typing import Any

from autotb.record import schema
from autotb.trace import parts, serial


def keys(shape: type) -> dict[str, str]:
    """What each key holds, by the comments; those of the shapes that it is based on first."""
    source = inspect.getsource(schema)
    lines = source.splitlines()
    classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    found = {}
    for kind in reversed(shape.__mro__):
        for node in classes[kind.__name__].body if kind.__name__ in classes else ():
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = lines[node.lineno - 1].partition("  # ")[2]
    return found


def table(shape: type) -> str:
    """A row for each key."""
    rows = ["| key | what it holds | form |", "|---|---|---|"]
    forms = schema.forms(shape)
    return "\n".join([*rows, *(f"| `{key}` | {told} | {FORMS[forms[key]]} |" for key, told in keys(shape).items())])


FORMS = {
    "Line": "text",
    "Text": "text",
    "WorkerText": "text",
    "Texts": "texts",
    "Pairs": "texts by name",
    "Count": "count",
    "Number": "integer",
    "Time": "seconds since 1970",
    "Flag": "true, or not there",
    "Source": "`[number, [lines]]`",
    "Place": "a place",
    "Frames": "frames",
    "Hops": "hops",
    "Tree": "record",
    "Trees": "records",
}
_TEXT, _INTEGER = {"type": "string"}, {"type": "integer"}
_NAMES = {"type": "object", "additionalProperties": _TEXT}
_PAIR = {"type": "array", "items": _INTEGER, "minItems": 2, "maxItems": 2}
_NUMBERED = {"type": "array", "prefixItems": [_INTEGER, _TEXT], "minItems": 2, "maxItems": 2}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(form: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [{"type": "null"}, form]}


def _of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


_JSON: dict[str, dict[str, Any]] = {
    "Line": _TEXT,
    "Text": _TEXT,
    "WorkerText": _TEXT,
    "Texts": _array(_TEXT),
    "Pairs": _NAMES,
    "Count": _INTEGER,
    "Number": {"type": ["integer", "null"]},
    "Time": {"type": "number"},
    "Flag": {"type": "boolean"},
    "Source": _array(_NUMBERED),
    "Place": _or_null(_of("place")),
    "Frames": _array({"oneOf": [_of("frame"), _of("gap")]}),
    "Hops": _array(_of("hop")),
    "Tree": _or_null(_of("error")),
    "Trees": _or_null(_array(_of("error"))),
}
_KINDS = {"enum": ["user", "library", "stdlib", "engine", "own"]}


def _object(description: str, properties: dict[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    head = {"description": description, "type": "object", "required": list(required), "additionalProperties": False}
    return {**head, "properties": properties}


def _properties(shape: type) -> dict[str, Any]:
    told = keys(shape)
    return {key: {**_JSON[form], "description": told[key]} for key, form in schema.shown(shape).items()}


def json_schema() -> str:
    """The JSON Schema of ``Trace.to_dict()``, as text."""
    place = {"path": _TEXT, "line": _INTEGER, "name": _TEXT}
    extent = {
        "span": {**_or_null(_PAIR), "description": "first and last column of the failing expression"},
        "end": {**_PAIR, "description": "line and column where the failing expression ends, where that is another line"},
    }
    frame = {**_properties(schema.Frame), **place, "kind": _KINDS, **extent}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The story of an error, as autotb.Trace.to_dict() gives it",
        "type": "object",
        "required": ["schema", "host", "pid", "error", "hints"],
        "properties": {
            "schema": {"const": serial.SCHEMA, "description": "version of this form"},
            "host": {"type": "string", "description": "where the story was made"},
            "pid": {"type": ["integer", "null"]},
            "error": _of("error"),
            "hints": {"type": "array", "maxItems": 2, "items": {"type": "string", "pattern": "^hint: "}},
        },
        "$defs": {
            "error": _object("one exception", _properties(schema.Tree), serial.ALWAYS[parts.Stack]),
            "hop": _object("one process or thread", _properties(schema.Hop), serial.ALWAYS[parts.Hop]),
            "place": _object("a line of a file", place, tuple(place)),
            "frame": _object("one call of the stack", frame, serial.ALWAYS[parts.Frame]),
            "gap": _object(
                "frames that stand for no line of their own",
                dict.fromkeys(("repeated", "cycle", "omitted"), _INTEGER),
                ("repeated", "cycle", "omitted"),
            ),
        },
    }
    return json.dumps(whole, indent=2) + "\n"

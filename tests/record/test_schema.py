"""The schema of records: each key stands in one place, from which all else is read."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import autotb
from autotb.cli import record_form
from autotb.record import arrival, schema
from autotb.trace import build, parts, serial
from tests import programs

PACKAGE = Path(autotb.__file__).parent
SHAPES = (schema.Tree, schema.Hop, schema.Frame, schema.Place)


def test_each_form_is_known_wherever_keys_are_read_by_it():
    told = {form for shape in SHAPES for form in schema.forms(shape).values()}
    chained = {"Tree", "Trees"}

    assert told == set(record_form.FORMS) == set(record_form._JSON)
    assert told - chained == set(arrival._TAKES)
    assert told - {"Source"} == set(build._OF)
    assert told - chained == set(serial._OF)
    assert told | {"Span"} == set(serial._PLAIN)


def test_each_key_is_described():
    assert [(shape, key) for shape in SHAPES for key, told in record_form.keys(shape).items() if not told] == []


def test_the_story_has_a_field_for_each_key_that_is_shown():
    for shape, part in ((schema.Tree, parts.Stack), (schema.Hop, parts.Hop), (schema.Frame, parts.Frame)):
        assert set(schema.shown(shape)) <= set(part._names)
        assert set(serial.ALWAYS[part]) <= {*schema.shown(shape), "span"}


def test_the_published_schema_is_the_programs_own():
    assert (PACKAGE / "trace" / "trace.schema.json").read_text(encoding="utf-8") == record_form.json_schema()


def test_what_is_told_by_keywords_is_told_under_keys():
    """Of calls that mypy does not look into: ``build.hop(…, call=…)``, ``annotate.note(error, culprit=…)``."""
    makers = {
        **dict.fromkeys(("build.hop", "records.hop", "death_report.hop"), schema.Hop),
        "annotate.note": schema.Tree,
    }
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in makers:
                found |= {(makers[ast.unparse(node.func)], keyword.arg) for keyword in node.keywords}

    assert {(schema.Hop, "verb"), (schema.Tree, "culprit")} <= found
    assert [(shape, key) for shape, key in found if key not in schema.forms(shape)] == []


def test_a_worker_does_without_typing():
    code = "import autotb.record.schema, sys; print('typing' in sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("False\n", "")


ADDED = {
    "class Tree(": "    advice: Line  # what to do\n    seen: Count  # how often\n    wrong: Count  # of another form\n",
    "class Hop(": "    gpu: Pairs  # the graphics cards\n",
    "class Frame(": "    covered: Flag  # whether a test runs it\n",
}
PROGRAM = """
    import json, pickle

    import autotb, jsonschema
    from autotb.cli import record_form, table
    from autotb.record import annotate, build

    def fail():
        raise ValueError("x")

    try:
        fail()
    except ValueError as caught:
        error = caught
    tree = build.record(error, error.__traceback__, build.hop("test", "in a test", gpu={"0": "H100"}))
    tree.update(advice="read", seen=3, wrong="many")
    tree["hops"][0]["frames"][-1]["covered"] = True
    annotate.attach(error, tree)
    arrived = pickle.loads(pickle.dumps(error))
    story = json.loads(json.dumps(autotb.explain(arrived).to_dict()))
    jsonschema.validate(story, json.loads(record_form.json_schema()))
    assert autotb.Trace.from_dict(story).to_dict() == story
    rows = "".join(table.TABLES[name]() for name in ("exception", "hop", "frame"))
    shown = story["error"]
    print(json.dumps([shown, shown["hops"][-1]["gpu"], shown["hops"][-1]["frames"][-1]["covered"], rows, autotb.__file__]))
    """


def test_a_key_is_added_by_its_line(tmp_path):
    """It goes from where it is made through a pickle into the story's JSON, its schema and the documents."""
    copy = tmp_path / "autotb"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / "record" / "schema.py").read_text(encoding="utf-8")
    for head, lines in ADDED.items():
        before, line, rest = text.partition(head)
        docstring, _, keys = rest.partition('"""\n\n')
        text = before + line + docstring + '"""\n\n' + lines + keys
    (copy / "record" / "schema.py").write_text(text, encoding="utf-8")
    ran = programs.run(tmp_path, PROGRAM, autotb="0")

    error, gpu, covered, rows, loaded = json.loads(ran.stdout)
    assert loaded.startswith(str(copy))
    assert (error["advice"], error["seen"], gpu, covered) == ("read", 3, {"0": "H100"}, True)
    assert "wrong" not in error
    for row in ("| `advice` | what to do | text |", "| `gpu` | the graphics cards | texts by name |", "| `covered` |"):
        assert row in rows

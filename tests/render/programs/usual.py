"""The errors that people meet every day, each in a function of the user's: what they look like, in main and in a pool.

Prints a JSON object: for each of ``main NAME`` and ``pool NAME`` the error as ``sys.excepthook`` draws it, and in the plain style.
"""

import asyncio
import base64
import concurrent.futures
import configparser
import contextlib
import csv
import ctypes
import datetime
import decimal
import fractions
import importlib
import io
import ipaddress
import json
import pathlib
import pickle
import re
import shutil
import socket
import sqlite3
import string
import struct
import subprocess
import sys
import tempfile
import urllib.request
import uuid
import zipfile
from xml.etree import ElementTree as etree

HERE = pathlib.Path(tempfile.mkdtemp())
DEAD = "http://127.0.0.1:9/"


def optional(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


toml, np, pd, requests, httpx, yaml, jinja2, pydantic, attrs, click, joblib, sqlalchemy, xarray, sklearn, aiohttp = map(
    optional,
    (
        *(
            "tomllib",
            "numpy",
            "pandas",
            "requests",
            "httpx",
            "yaml",
            "jinja2",
            "pydantic",
            "attrs",
            "click",
            "joblib",
            "sqlalchemy",
        ),
        *("xarray", "sklearn.linear_model", "aiohttp"),
    ),
)


def rethrown():
    try:
        return {}["port"]
    except KeyError as error:
        raise ValueError("no port in the configuration") from error


def in_handler():
    try:
        return int("12a")
    except ValueError:
        return {}["fallback"]


def cleaned_up():
    with contextlib.closing(io.StringIO()) as file:
        file.read(None, None)


def validated():
    class Order(pydantic.BaseModel):
        amount: int
        when: datetime.datetime

    return Order(amount="many", when="never")


def missing_table():
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        return connection.execute(sqlalchemy.text("select * from nowhere"))


def gathered():
    async def one():
        await asyncio.sleep(0)
        return 1 / 0

    async def many():
        return await asyncio.gather(one(), one())

    return asyncio.run(many())


def timed_out():
    async def slow():
        return await asyncio.wait_for(asyncio.sleep(9), 0.01)

    return asyncio.run(slow())


def fetched():
    async def get():
        async with aiohttp.ClientSession() as session, session.get(DEAD) as answer:
            return answer.status

    return asyncio.run(get())


def fitted():
    from sklearn.model_selection import cross_val_score

    model = sklearn.LogisticRegression(C=-1)
    return cross_val_score(model, np.eye(8), [0, 1] * 4, cv=2, n_jobs=2, error_score="raise")


def threaded():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(requests.get, [DEAD, DEAD]))


def template():
    (HERE / "page.html").write_text("<b>\n{{ 1 / zero }}\n")
    return jinja2.Environment(loader=jinja2.FileSystemLoader(HERE)).get_template("page.html").render(zero=0)


def parsed_configuration():
    parser = configparser.ConfigParser()
    parser.read_string("no section here\n")


def read_archive():
    with zipfile.ZipFile(io.BytesIO(b"not a zip")) as file:
        return file.namelist()


def command():
    @click.command()
    @click.argument("x", type=int)
    def main(x):
        return 1 / x

    return main(["0"], standalone_mode=False)


ERRORS = {
    "key": lambda: {"a": 1}["b"],
    "index": lambda: list("ab")[5],
    "attribute": lambda: None.strip(),
    "name": lambda: undefined_name,  # noqa: F821
    "type": lambda: 1 + "a",
    "zero": lambda: sum(1 / x for x in [1, 0]),
    "value": lambda: [int(text) for text in ["1", "x"]],
    "arguments": lambda: rethrown(1),
    "unpack": lambda: dict([(1, 2, 3)]),
    "assertion": lambda: exec("assert 1 == 2, 'not the same'"),
    "import": lambda: importlib.import_module("a_module_that_nobody_has"),
    "recursion": lambda: json.dumps(deep()),
    "unicode": lambda: b"\xff".decode(),
    "rethrown": rethrown,
    "in_handler": in_handler,
    "cleaned_up": cleaned_up,
    "no file": lambda: open("/no/such/file"),  # noqa: SIM115
    "pathlib": lambda: pathlib.Path("/no/such/file").read_text(),
    "json.loads": lambda: json.loads("{'a': 1}"),
    "json.dumps": lambda: json.dumps({"when": datetime.datetime(2020, 1, 1)}),
    "urllib": lambda: urllib.request.urlopen(DEAD),
    "socket": lambda: socket.create_connection(("127.0.0.1", 9)),
    "sqlite3": lambda: sqlite3.connect(":memory:").execute("select * from nowhere"),
    "subprocess": lambda: subprocess.run([sys.executable, "-c", "raise SystemExit(3)"], check=True),
    "subprocess, no program": lambda: subprocess.run(["no-such-program"]),
    "strptime": lambda: datetime.datetime.strptime("2020-13-01", "%Y-%m-%d"),
    "fromisoformat": lambda: datetime.date.fromisoformat("tomorrow"),
    "re": lambda: re.compile("(a"),
    "csv": lambda: list(csv.DictReader(["a\0"], strict=True, fieldnames=[])) + [csv.reader(1)],
    "configparser": parsed_configuration,
    "decimal": lambda: decimal.Decimal("x"),
    "fractions": lambda: fractions.Fraction("x"),
    "base64": lambda: base64.b64decode("a"),
    "struct": lambda: struct.unpack("<q", b"123"),
    "pickle": lambda: pickle.dumps(lambda: 1),
    "unpickle": lambda: pickle.loads(b"no pickle"),
    "shutil": lambda: shutil.copytree("/no/such/folder", HERE / "copy"),
    "zipfile": read_archive,
    "xml": lambda: etree.fromstring("<a><b></a>"),
    "toml": lambda: toml.loads("a = ["),
    "uuid": lambda: uuid.UUID("x"),
    "ipaddress": lambda: ipaddress.ip_address("300.1.1.1"),
    "format": lambda: string.Template("$who").substitute({}),
    "ctypes": lambda: ctypes.CDLL("libnowhere.so"),
    "asyncio.gather": gathered,
    "asyncio.wait_for": timed_out,
    "numpy": lambda: np.ones((2, 3)) @ np.ones((2, 3)),
    "numpy, linalg": lambda: np.linalg.inv(np.zeros((2, 2))),
    "pandas, column": lambda: pd.DataFrame({"a": [1]})["b"],
    "pandas, merge": lambda: pd.DataFrame({"a": [1]}).merge(pd.DataFrame({"b": [1]}), on="a"),
    "pandas, read_csv": lambda: pd.read_csv("/no/such/file.csv"),
    "pandas, apply": lambda: pd.DataFrame({"a": [1, 0]}).apply(lambda row: 1 / row["z"], axis=1),
    "pandas, to_datetime": lambda: pd.to_datetime(["tomorrow-ish"]),
    "requests": lambda: requests.get(DEAD),
    "requests, threads": threaded,
    "requests, status": lambda: requests.models.Response().json(),
    "httpx": lambda: httpx.get(DEAD),
    "yaml": lambda: yaml.safe_load("a: [1, 2"),
    "jinja2": template,
    "jinja2, undefined": lambda: jinja2.Template("{{ a.b }}").render(),
    "pydantic": validated,
    "attrs": lambda: attrs.make_class("Point", ["x"])(),
    "click": command,
    "sqlalchemy": missing_table,
    "joblib": lambda: joblib.Parallel(2)(joblib.delayed(divide)(x) for x in [1, 0]),
    "sklearn": lambda: sklearn.LogisticRegression().fit([[1], [2]], [1, 1]),
    "sklearn, n_jobs": fitted,
    "xarray": lambda: xarray.Dataset({"a": ("x", [1])})["b"],
    "aiohttp": fetched,
}
_NEEDS = {
    "toml": toml,
    "numpy": np,
    "pandas": pd,
    "requests": requests,
    "httpx": httpx,
    "yaml": yaml,
    "jinja2": jinja2,
    "pydantic": pydantic,
}
_NEEDS |= {"attrs": attrs, "click": click, "joblib": joblib, "sqlalchemy": sqlalchemy, "xarray": xarray, "sklearn": sklearn}
_NEEDS |= {"aiohttp": aiohttp}


def deep():
    result = []
    for _ in range(100_000):
        result = [result]
    return result


def divide(x):
    return 1 / x


def fail(name):
    ERRORS[name]()


def shown(error):
    stream, sys.stderr = sys.stderr, io.StringIO()
    try:
        sys.excepthook(type(error), error, error.__traceback__)
        plain = str(sys.modules["autotb"].explain(error)) if "autotb.hooks.excepthook" in sys.modules else ""
        return sys.stderr.getvalue(), plain
    finally:
        sys.stderr = stream


def text_of(call, *args):
    try:
        call(*args)
    except BaseException as error:
        return shown(error)
    raise SystemExit(f"{args} is no error")


if __name__ == "__main__":
    names = [name for name in ERRORS if _NEEDS.get(name.partition(",")[0], sys) is not None]
    texts = {f"main {name}": text_of(fail, name) for name in names}
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        texts |= {f"pool {name}": text_of(lambda name=name: pool.submit(fail, name).result()) for name in names}
    shutil.rmtree(HERE)
    json.dump(texts, sys.stdout)

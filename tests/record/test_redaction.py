"""Secrets in what is shown, by their names and by what they look like; and ordinary data, which stays as it is."""

from __future__ import annotations

import dataclasses

import pytest

from autotb.record import redaction, safe_repr

SECRET_NAMES = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "db_password",
    "userPassword",
    "PGPASSWORD",
    "MYSQL_PWD",
    "MY_PWD",
    "DB_PASS",
    "GPG_PASSPHRASE",
    "GITHUB_PAT",
    "token",
    "api_token",
    "access_token",
    "refreshToken",
    "auth_tokens",
    "X-Auth-Token",
    "csrf_token",
    "secret",
    "client_secret",
    "SECRET_KEY",
    "secrets",
    "api_key",
    "apikey",
    "apiKey",
    "X-Api-Key",
    "access_key",
    "AWS_SECRET_ACCESS_KEY",
    "private_key",
    "signing_key",
    "Ocp-Apim-Subscription-Key",
    "account_key",
    "credentials",
    "aws_credentials",
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "cookies",
    "dsn",
    "SENTRY_DSN",
    "auth",
    "session_id",
    "sessionid",
]

ORDINARY_NAMES = [
    "key",
    "keys",
    "sort_key",
    "primary_key",
    "foreign_key",
    "keyword",
    "monkey",
    "hotkey",
    "key_count",
    "tokens",
    "max_tokens",
    "n_tokens",
    "tokenizer",
    "token_count",
    "pad_token",
    "eos_token",
    "special_token",
    "token_id",
    "token_type_ids",
    "next_token",
    "password_length",
    "has_password",
    "is_secret",
    "password_file",
    "secretary",
    "author",
    "authority",
    "passes",
    "bypass",
    "compass",
    "passenger",
    "pass_rate",
    "first_pass",
    "patience",
    "path",
    "pathology",
    "salt",
    "hash",
    "session",
    "signature",
    "certificate",
    "cookiecutter",
    "sentry",
    "design",
    "dns",
    "cancel_token",
]

SECRET = "hunter2Hunter2hunter2"
#: Values in which SECRET must not be seen.
SECRET_VALUES = [
    {"X-Api-Key": SECRET},
    {"outer": [{"password": SECRET}]},
    [("Authorization", f"Bearer {SECRET}")],
    [("X-Api-Key", SECRET)],
    ["X-Api-Key", SECRET],
    ["mysql", "--password", SECRET, "base"],
    ("mysql", f"--password={SECRET}"),
    ["curl", f"-u bob:{SECRET}"],
    f"mysql --password {SECRET} base",
    f"mysql --password={SECRET} base",
    f"run --verbose password={SECRET}",
    f"curl -u bob:{SECRET} https://example.org",
    f"Authorization: Bearer {SECRET}",
    f"Authorization: Basic {SECRET}==",
    f"GET /\nCookie: id={SECRET}; other=1\nHost: x",
    f"Bearer {SECRET}",
    f"X-Api-Key: {SECRET}",
    f"https://example.org/a?page=1&token={SECRET}&api_key={SECRET}",
    f"https://example.org/a?sig=1&access_token={SECRET}#end",
    f'{{"user": "bob", "password": "{SECRET}"}}',
    f'{{\\"password\\": \\"{SECRET}\\"}}',
    f"{{'password': '{SECRET}', 'user': 'bob'}}",
    f"password={SECRET}",
    f"host=db user=bob password='{SECRET}' dbname=x",
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET}==;EndpointSuffix=core",
    f"Server=db;User Id=bob;Password={SECRET};",
    f"postgres://bob:{SECRET}@host/base",
    f"postgresql://{'u' * 110}:{SECRET}@host/base",
    f"https://{SECRET}@github.com/a/b",
    f"postgres://u:{SECRET}@h".encode(),
    f"password={SECRET}".encode(),
    f"bob:{SECRET}@host",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    "x" * 100 + f" -----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n" + "y" * 9_000,
    f"see ghp_{SECRET}abcdef0123456789",
    f"github_pat_{SECRET}abcdefgh",
    f"xoxb-1234567890-{SECRET}",
    f"https://hooks.slack.com/services/T000/B000/{SECRET}",
    f"https://discord.com/api/webhooks/1234567890/{SECRET}",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{SECRET}",
    f"sk_live_{SECRET}",
    f"sk-proj-{SECRET}abcdef",
    f"hf_{SECRET}abcdefgh",
    f"glpat-{SECRET}",
    f"SG.{SECRET}.{SECRET}",
    f"npm_{SECRET}abcdefghijklmn",
]

ORDINARY_VALUES = [
    "sort_key=name",
    "key=value, other: 3",
    "max_tokens=5",
    "tokens=[1, 2, 3]",
    {"tokens": [1, 2], "max_tokens": 5, "sort_key": "name", "key": "x", "monkey": "see"},
    [("key", "name"), ("size", 3)],
    ["git", "--keep", "--pretty", "oneline"],
    "3587ee3a9f0b7b1c2d3e4f5061728394a5b6c7d8",
    "123e4567-e89b-12d3-a456-426614174000",
    "d41d8cd98f00b204e9800998ecf8427e",
    "https://example.org:8080/path?page=2&sort_key=a",
    "http://localhost:5432",
    "bob@example.org",
    "mailto:bob@example.org",
    "unexpected token: foo in line 3",
    "the password: must have eight letters",
    "Basic Information about the Bearer of this letter",
    "C:\\Users\\bob",
    "2024-01-01 12:30:00",
    "12:30:05",
    "a - b --count 3",
    "--count 3 --sort-key name",
    "password=None",
    b"\x00\x01binary=\xff",
    "path/to/secret_santa.csv",
    "x" * 3_000,
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name):
    assert redaction.is_secret(name)
    assert safe_repr.brief(SECRET, name) == "***"


@pytest.mark.parametrize("name", ORDINARY_NAMES)
def test_ordinary_names(name):
    assert not redaction.is_secret(name)


@pytest.mark.parametrize("value", SECRET_VALUES, ids=lambda value: str(value)[:30])
def test_secrets_in_values(value):
    shown = safe_repr.brief(value)

    assert "***" in shown or "characters)" in shown
    for at in range(0, len(SECRET), 7):
        assert SECRET[at : at + 7] not in shown


@pytest.mark.parametrize("value", ORDINARY_VALUES, ids=lambda value: str(value)[:30])
def test_ordinary_values(value):
    assert "***" not in safe_repr.brief(value)


def test_a_field_that_its_class_does_not_show_is_not_shown():
    @dataclasses.dataclass
    class Login:
        user: str
        number: str = dataclasses.field(repr=False)

    assert safe_repr.brief(Login("bob", SECRET)).endswith("Login(user='bob', number=…)")


def test_objects_that_hold_a_secret_are_told_by_their_type():
    pydantic = pytest.importorskip("pydantic")

    assert SECRET not in safe_repr.brief([pydantic.SecretStr(SECRET), {"x": pydantic.SecretBytes(SECRET.encode())}])


def test_the_environment_of_a_worker():
    variables = {
        "PWD": "/home/bob",
        "OLDPWD": "/tmp",
        "MY_PWD": SECRET,
        "DATABASE_URL": f"postgres://u:{SECRET}@h",
        "PATH": "/usr/bin:/bin",
        "HOOK": f"https://hooks.slack.com/services/T/B/{SECRET}",
        "STORE": f"AccountName=a;AccountKey={SECRET}",
    }
    shown = redaction.environment(variables)

    assert (shown["PWD"], shown["OLDPWD"], shown["PATH"]) == ("/home/bob", "/tmp", "/usr/bin:/bin")
    assert SECRET not in str(shown)


OUTLETS = """
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool
import autotb

SECRET = open("secret").read()


def login(user, passphrase, token_file=None, **more):
    local_pwd = passphrase
    url = "postgres://bob:" + passphrase + "@host"
    if user == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("no")


if __name__ == "__main__":
    with Pool(1) as pool:
        for arguments in ((("die", SECRET), {"api_key": SECRET}), (("die", "x"), {"url": "https://u:" + SECRET + "@h"})):
            try:
                pool.apply(login, *arguments)
            except Exception as error:
                print(type(error).__name__, error, flush=True)
                sys.excepthook(type(error), error, error.__traceback__)
    with ProcessPoolExecutor(1) as pool:
        for text in (SECRET, "Bearer " + SECRET):
            try:
                autotb.unwrap(pool.submit(login, "bob", text, headers=[("X-Api-Key", SECRET)], command=["x", "--password", SECRET]))
            except ValueError as error:
                sys.excepthook(type(error), error, error.__traceback__)
"""


def test_no_outlet_tells_a_secret(tmp_path, run):
    (tmp_path / "secret").write_text(SECRET)
    kept, logs = tmp_path / "kept", tmp_path / "logs"

    ran = run(
        OUTLETS,
        AUTOTB_DIR=str(kept),
        AUTOTB_WORKER_LOG=str(logs),
        AUTOTB_LOCALS="1",
        AUTOTB_STYLE="plain",
        SERVICE_PASSPHRASE=SECRET,
    )

    texts = [ran.stdout, ran.stderr, *(path.read_text() for folder in (kept, logs) for path in folder.iterdir())]
    assert ran.stdout.count("WorkerDied") == 2
    assert len(texts) >= 6
    for text in texts:
        assert "login(" in text or "login" not in text
        assert SECRET not in text

"""What must not be shown: the one place that says which names and which texts are secrets, for every outlet.

Flows in: names of arguments, variables, keys and environment variables, and texts before they are cut.  Flows out: whether a name
tells a secret, and the text with its secrets masked.  What the program wrote itself, its exceptions' messages, notes and source
lines, is not altered: Python prints it as well.

The shapes of tokens follow the rules of gitleaks (https://github.com/gitleaks/gitleaks, MIT) and detect-secrets
(https://github.com/Yelp/detect-secrets, Apache 2.0), as of their releases 8 and 1.5, in expressions of our own.  Neither is
imported: they look through files, by entropy too, and would mask hashes and ids that a reader needs.
"""

from __future__ import annotations

import functools

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    import re

MASK = "***"
MARGIN = 400  # characters beyond a cut that are looked at: a URL's password may end there

# Names, cut into words at capitals, digits and punctuation.
_JOINED = (
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "apikey",
    "secretkey",
    "accesskey",
    "privatekey",
    "authtoken",
    "sessionid",
)
_ALWAYS = {
    "pwd",
    "pswd",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "creds",
    "authorization",
    "cookie",
    "cookies",
    "dsn",
    "jwt",
}
_LAST = {"auth", "bearer"}
_KEYS = {
    *("api", "access", "private", "secret", "auth", "account", "encryption", "decryption", "signing", "master", "ssh", "session"),
    *("consumer", "subscription", "webhook", "hmac", "sas"),
}
_PASS = {
    "db",
    "database",
    "user",
    "mysql",
    "postgres",
    "pg",
    "redis",
    "smtp",
    "mail",
    "email",
    "root",
    "admin",
    "login",
    "ftp",
    "sudo",
}
_PATS = {"github", "gitlab", "gh", "git", "azure", "ado", "devops", "my"}
_TOKENS = {"access", "api", "auth", "bearer", "refresh", "session", "secret", "bot", "csrf", "id"}  # before ``tokens``
# What makes a harmless thing of one: ``has_password``, ``password_length``, ``pad_token``, ``token_count``.
_HARMLESS_BEFORE = {
    "is",
    "has",
    "num",
    "n",
    "no",
    "count",
    "min",
    "max",
    "total",
    "with",
    "without",
    "use",
    "show",
    "hide",
    "need",
    "needs",
}
_HARMLESS_AFTER = {
    *(
        "length",
        "len",
        "file",
        "filename",
        "path",
        "field",
        "name",
        "names",
        "policy",
        "count",
        "counts",
        "type",
        "types",
        "index",
    ),
    *("limit", "size", "required", "valid", "expiry", "expires", "prompt", "arn", "ids", "class", "kind", "position", "jar"),
}
_WORDS_OF_TEXT = {
    *("pad", "eos", "bos", "unk", "sep", "cls", "mask", "next", "prev", "previous", "last", "first", "special", "start", "end"),
    *("stop", "cancel", "cancellation", "input", "output", "prompt", "current", "image", "text", "continuation", "page", "per"),
}

# Texts: what they are looked through for, each where one of the pieces before it is in the text, which is nearly never.
_SHAPES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("PRIVATE KEY",), r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)"),
    (("AKIA", "ASIA", "ABIA", "ACCA", "A3T"), r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}\b"),  # AWS
    (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
        r"\bgh[pousr]_\w{12,}|\bgithub_pat_\w{12,}|\bglpat-[\w-]{16,}",
    ),
    (("ATBB", "ATATT3"), r"\bATBB\w{24,}|\bATATT3[\w=-]{20,}"),  # Bitbucket, Jira
    (("xox", "xapp-"), r"\bxox[abeoprs]-[\w-]{8,}|\bxapp-[\w-]{12,}"),
    (
        ("hooks.slack.com", "/api/webhooks/", "office.com/webhook"),
        r"(?<=hooks\.slack\.com/)[^\s'\"]+|(?<=/api/webhooks/)[^\s'\"]+|(?<=office\.com/webhook)[^\s'\"]+",
    ),
    ((":AA",), r"\b\d{8,10}:AA[\w-]{30,}"),  # Telegram
    (("eyJ",), r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)*"),  # JSON web tokens
    (("_live_", "_test_", "_prod_", "whsec_"), r"\b[rs]k_(?:live|test|prod)_\w{8,}|\bwhsec_\w{16,}"),  # Stripe
    (("sq0", "shp"), r"\bsq0[a-z]{3}-[\w-]{20,}|\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{16,}"),  # Square, Shopify
    (("AIza", "ya29.", "GOCSPX-"), r"\bAIza[\w-]{30,}|\bya29\.[\w-]{16,}|\bGOCSPX-[\w-]{20,}"),  # Google
    (
        ("sk-", "hf_", "r8_", "gsk_"),
        r"\bsk-(?:ant-|proj-)?[\w-]{20,}|\bhf_[A-Za-z0-9]{24,}|\br8_\w{30,}|\bgsk_\w{30,}",
    ),  # of models
    (("npm_", "pypi-", "dckr_pat_"), r"\bnpm_\w{30,}|\bpypi-[\w-]{30,}|\bdckr_pat_[\w-]{16,}"),
    (("SG.", "SK", "key-", "dapi"), r"\bSG\.[\w-]{12,}\.[\w-]{12,}|\bkey-[a-f0-9]{32}\b|\bSK[a-f0-9]{32}\b|\bdapi[a-f0-9]{32}"),
    (("dop_v1_", "doo_v1_", "hvs.", "hvb."), r"\bdo[opr]_v1_[a-f0-9]{32,}|\bhv[sbr]\.[\w-]{20,}"),  # DigitalOcean, Vault
    (("AGE-SECRET", "NRAK-", "lin_api_", "glsa_"), r"\bAGE-SECRET-KEY-1\w{20,}|\bNRAK-\w{20,}|\blin_api_\w{20,}|\bglsa_\w{20,}"),
)
_HEADER = r"((?i:\b(?:(?:proxy-)?authorization|(?:set-)?cookie))\\?[\"']?\s*[:=]\s*\\?[\"']?)(?![\s\[{(<])[^\n\"'\\]{3,}"
_SCHEME = r"(\bBearer\s+|\bbearer\s+(?=\S*\d)|\bBasic\s+(?=[^\s=]*[\d=+/]))(?!token|auth|scheme|realm)[^\s'\",;]{4,}"
_URLS = (
    r"(://[^\s:/@'\"]*:)[^\s/'\"]+(?=@)",
    r"(://[^\s:/@'\"]*:)(?!\d{1,5}(?:[/?#\s'\"…]|\Z))[^\s/@'\"…]+(?=…|\Z)",  # its ``@`` may have been cut off
    r"(://)[^\s:/@'\"]{16,}(?=@)",
    r"((?<![\w.+/-])(?!mailto:)[A-Za-z_][\w.+-]{0,80}:)[^\s/@'\"*]{1,200}(?=@)",
)
_NAMED = r"(?<![\w.-])(-{0,2}[A-Za-z_][\w.-]*)(\\?[\"']?\s*(?:=>|=|:(?!//))\s*)"
_VALUE = r"\\?\"(?:[^\"\\]|\\[^\"])*\\?\"?|\\?'(?:[^'\\]|\\[^'])*\\?'?|[^\s,;&'\")}\]]+"
_FLAG = r"(?<!\S)(--?[A-Za-z][\w-]*)[ \t]+(?![-\s])"
_FLAGGED = r"\"[^\"]*\"|'[^']*'|\S+"
_HINTS = ("pass", "pwd", "pswd", "secret", "token", "key", "cred", "auth", "cookie", "dsn", "jwt", "pat", "session", "bearer")
_SAFE = ("None", "True", "False", "null", "true", "false", MASK, "...", "…")


@functools.lru_cache(4_096)
def is_secret(name: str) -> bool:
    """Whether a value of this name must not be shown."""
    words = _words(name)
    joined = "".join(words)
    for at, word in enumerate(words):
        before, after = words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
        if before in _HARMLESS_BEFORE or after in _HARMLESS_AFTER or (after == "id" and word == "token"):
            continue
        if word in _ALWAYS or any(part in word for part in _JOINED):
            return True
        if word == "token" and before not in _WORDS_OF_TEXT:
            return True
        if after:
            continue
        if (
            (word in ("key", "keys") and before in _KEYS)
            or (word == "pass" and before in _PASS)
            or (word == "pat" and before in _PATS)
        ):
            return True
        if word in _LAST or (word == "tokens" and before in _TOKENS) or (word == "id" and before == "session"):
            return True
    return len(words) > 1 and joined in ("passphrase", "passcode", "password")


def _words(name: str) -> list[str]:
    found: list[str] = []
    last = ""
    for letter in name:
        if not letter.isalpha():
            last = ""
            continue
        if not last or (letter.isupper() and last.islower()):
            found.append(letter)
        else:
            found[-1] += letter
        last = letter
    return [word.lower() for word in found]


@functools.lru_cache(64)
def _compiled(expression: str) -> re.Pattern[str]:
    import re

    return re.compile(expression, re.DOTALL)


def mask(text: str) -> str:
    """``text`` without the secrets in it.  It must be whole, or have MARGIN characters beyond where it will be cut."""
    if len(text) < 6 or (text.isalnum() and len(text) < 16):
        return text
    for pieces, shape in _SHAPES:
        for piece in pieces:
            if piece in text:
                text = _compiled(shape).sub(MASK, text)
                break
    lower = text.lower()
    if "authorization" in lower or "cookie" in lower:
        text = _compiled(_HEADER).sub(_kept, text)
    if "bearer" in lower or "basic" in lower:
        text = _compiled(_SCHEME).sub(_kept, text)
    if "@" in text or "://" in text:
        for url in _URLS:
            text = _compiled(url).sub(_kept, text)
    if any(hint in lower for hint in _HINTS):
        text = _without_named(text) if "=" in text or ":" in text else text
        text = _without_flagged(text) if "-" in text else text
    elif " -u " in lower or lower.startswith("-u ") or "--user " in lower:
        text = _without_flagged(text)
    return text


def cut(text: str, limit: int) -> str:
    """The first ``limit`` characters of the masked text."""
    return mask(text[: limit + MARGIN])[:limit]


def _kept(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}"


def _without_named(text: str) -> str:
    """``password=x``, ``"password": "x"``, ``?token=x&…`` without the x."""
    parts, at = [], 0
    for match in _compiled(_NAMED).finditer(text):
        value = _compiled(_VALUE).match(text, match.end()) if match.start() >= at and is_secret(match[1]) else None
        if (
            value is None
            or not _is_value(value[0])
            or (match[2].strip() == ":" and not _is_field(text, match.start(), value.end()))
        ):
            continue
        quote = value[0][: 2 if value[0][0] == "\\" else 1] if value[0][0] in "\"'\\" else ""
        parts += [text[at : match.end()], quote, MASK, quote]
        at = value.end()
    return "".join([*parts, text[at:]])


def _is_value(value: str) -> bool:
    bare = value.strip("\\\"'")
    return bool(bare) and bare not in _SAFE and value[0] not in "[({<"


def _is_field(text: str, start: int, end: int) -> bool:
    """Whether ``name: value`` is a header or a line of a mapping, and no sentence (``unexpected token: x``)."""
    before, after = text[:start].rstrip(" \t"), text[end:].lstrip(" \t")
    return (not before or before[-1] in "\n,;{([") and (not after or after[0] in "\n,;})]")


def _without_flagged(text: str) -> str:
    """``--password x`` without the x, ``-u bob:x`` without bob's."""
    parts, at = [], 0
    for match in _compiled(_FLAG).finditer(text):
        value = _compiled(_FLAGGED).match(text, match.end()) if match.start() >= at else None
        if value is not None and (is_secret(match[1]) or (match[1] in ("-u", "--user") and ":" in value[0])):
            parts += [text[at : match.end()], MASK]
            at = value.end()
    return "".join([*parts, text[at:]])


def environment(variables: dict[str, str]) -> dict[str, str]:
    """Environment variables, masked; those that a shell exports functions in left out."""
    return {
        name: MASK if is_secret(name) and name not in ("PWD", "OLDPWD") else mask(value)
        for name, value in variables.items()
        if not name.startswith("BASH_FUNC_")
    }

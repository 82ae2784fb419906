"""Reads HTML as a browser does: which elements there are, with what text; and a real browser, where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser

VOID = {"meta", "input", "br", "path"}
OURS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "main",
        "form",
        "input",
        "select",
        "option",
        "script",
        "noscript",
    ),
    *(
        "h1",
        "h2",
        "p",
        "div",
        "section",
        "details",
        "summary",
        "span",
        "b",
        "i",
        "u",
        "code",
        "pre",
        "ol",
        "ul",
        "li",
        "svg",
        "path",
    ),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
CHROMIUM = shutil.which("chromium")

#: Texts that would be markup, end a script, or reorder a line.
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\" ' & <!-- \u202ecba\u2069 \x1b[31m \x00 \ud800 \u2028]]>"
)


class Page(HTMLParser):
    """The elements with their attributes, the text, and the contents of scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.scripts, self.open = [], [], "", [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        if tag == "script":
            self.scripts.append("")
        self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if "script" in self.open:
            self.scripts[-1] += data
        elif "style" not in self.open:
            self.text += data


def is_harmless(text):
    """That no element, attribute or character is there which the program's texts brought."""
    page = Page(text)
    assert set(page.tags) <= OURS
    assert not [name for name in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert page.tags.count("script") in (0, 2)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]", text)
    return page


def browsed(path, dark=False):
    """The page's elements after its script has run, as Chromium has them; and what its console says."""
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=3000",
        "--enable-logging=stderr",
    ]
    command += ["--force-dark-mode"] if dark else []
    ran = subprocess.run(
        [*command, f"--user-data-dir={path.parent / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return Page(ran.stdout), [line for line in ran.stderr.splitlines() if "CONSOLE" in line]


def contrast(first, second):
    """Of two colours, ``#rgb`` or ``#rrggbb``, as WCAG has it."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def palettes(sheet):
    """The colours of a sheet by name, one dict a place that sets them."""
    blocks = re.findall(r"\{ ((?:[\w-]+: [^;{}]+;\s*)*--\w+: #[^{}]*)\}", sheet)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block)) for block in blocks]

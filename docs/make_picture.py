"""Makes ``docs/picture.svg``: the demo's job, run for real, what it shows on a terminal drawn by rich."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from autotb.cli.demo import demos

HERE = Path(__file__).parent


def main() -> None:
    """Run the job and save the picture."""
    folder = Path(tempfile.gettempdir()) / "job"
    folder.mkdir(exist_ok=True)
    script = folder / "train.py"
    script.write_text(demos()["processes"], encoding="utf-8")
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": "80", "AUTOTB": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=False
    )
    shutil.rmtree(folder)
    text = Text.from_ansi(done.stderr.decode())
    console = Console(record=True, width=82, file=io.StringIO(), force_terminal=True)
    console.print(text)
    svg = console.export_svg(title="python train.py", unique_id="autotb")
    # The font is asked of a server by default: a picture in a README must not.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)
    (HERE / "picture.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()

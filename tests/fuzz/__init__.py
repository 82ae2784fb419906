"""A fuzzer: hostile exceptions, records, texts and files, through every door of autotb, and what must hold of each.

``python -m tests.fuzz [SECONDS] [SEED]`` runs it on all cores, ``--case N`` one case of that seed once more.  A case is all that its
seed and number say: ``chance`` draws, ``hostile``, ``exceptions`` and ``records`` make what is thrown, ``doors`` are the ways in and
out with what is checked of each, ``pairs`` compares with the bare interpreter, ``__main__`` runs them and watches.
"""

from __future__ import annotations

import re

# What must not get out: control characters, marks that reorder text, halves of surrogate pairs.
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

"""Workers that died: what they were doing (``status_file``), what ended them (``verdict``).

Flows in: a few numbers that a worker keeps in memory which its parent shares; the exit status; the kernel's counters.  Flows out:
plain data for the engines' adapters, which know whose tasks were lost.
"""

"""One file an engine.  An adapter is, in this order:

* a docstring: what the engine is, where its errors cross a process, which versions were tried;
* ``MODULES``, a literal tuple of the modules whose import loads the adapter (``_triggers.py`` is generated from it), and
  ``NAME``, ``DISTRIBUTION``, ``CAPTURED`` for the README's table and ``doctor``, ``NOISE`` for the engine's quiet settings;
* its facts (``engine_facts.register``) and ``PATCHES``;
* the wrappers, each beginning with why it is there, then helpers; ``ready(module)`` where something is to be done after patching.
"""

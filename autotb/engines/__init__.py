"""One file an engine.  An adapter is, in this order:

* a docstring: what the engine is, where its errors cross a process, which versions were tried;
* ``MODULES``, a literal tuple of the modules whose import loads the adapter (``_triggers.py`` is generated from it), and
  ``NAME``, ``DISTRIBUTION``, ``CAPTURED``, ``TESTED`` for the README's table and ``doctor``, ``NOISE`` for the engine's quiet
  settings where it has any;
* its facts (``engine_facts.register``), and what it takes for granted beside the functions that it patches (``assumption``);
* the wrappers, each beginning with why it is there, then helpers; ``ready(module)`` where something is to be done after patching;
* ``PATCHES`` and ``ASSUMPTIONS``, each with what is lost where it finds nothing;
* ``probe(given, timeout)`` where ``doctor --engine`` can ask its workers, and ``DEMO``, the script of ``demo --engine``.

``tests/engines/template/adapter.py`` is a small one, with comments.
"""

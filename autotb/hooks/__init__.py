"""Where errors surface: the interpreter, threads, processes, asyncio, logging, IPython."""

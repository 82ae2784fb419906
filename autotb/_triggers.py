TRIGGERS = {
    "concurrent.futures.interpreter": ("autotb.engines.futures",),
    "concurrent.futures.process": ("autotb.engines.futures",),
    "concurrent.futures.thread": ("autotb.engines.futures",),
    "threading": ("autotb.engines.threads",),
}

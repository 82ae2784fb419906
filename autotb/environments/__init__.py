"""Programs that show errors themselves, or decide how they are shown: adapters of the hooks, one file a program."""

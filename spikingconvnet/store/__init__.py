"""The run directory: results in files, whole or not at all, one writer at a time."""

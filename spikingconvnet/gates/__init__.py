"""Gates for what comes from outside: fields, sizes, files, addresses, the system."""

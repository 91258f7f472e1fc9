"""Two recordings or runs: where they differ first, and why."""

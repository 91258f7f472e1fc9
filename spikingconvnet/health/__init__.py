"""Whether what came back can be trusted: verdicts on runs, layers that never fire."""

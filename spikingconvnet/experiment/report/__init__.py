"""``report.html``: what a run directory holds, as one page that can be looked at, with nothing else beside it."""

"""Readouts that learn, and how one becomes units of a board."""

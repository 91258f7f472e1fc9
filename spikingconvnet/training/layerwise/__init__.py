"""Rules that train one layer after another."""

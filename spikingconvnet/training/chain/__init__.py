"""Rules that train all layers at once."""

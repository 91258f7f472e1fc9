"""An experiment: what is loaded, trained, read out and kept, from parameters to figures."""

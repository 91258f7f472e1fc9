"""The netlist: populations, connections, spikes, as plain data that any simulator can be given."""

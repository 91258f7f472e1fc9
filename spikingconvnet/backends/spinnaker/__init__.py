"""SpiNNaker through sPyNNaker: a board, an emulated one, or a virtual one for mapping alone."""

"""The local engine: SpiNNaker's integers at full speed."""

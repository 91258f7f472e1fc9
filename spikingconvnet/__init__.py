"""Layer-wise STDP spiking convolutional networks on SpiNNaker."""

__version__ = "0.1.0"

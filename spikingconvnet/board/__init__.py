"""What a SpiNNaker board would hold and compute: its integers, its cores, its memory, its rules."""

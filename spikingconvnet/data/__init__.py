"""Images and numbers: where they come from, what is made of them, and their spikes."""

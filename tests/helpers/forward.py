"""A module of torch whose forward is a function."""

import torch
from torch import nn


class Forward(nn.Module):
    """What `forward` does is given as a function of the module and the input."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            if isinstance(part, torch.Tensor):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, x):
        return self.run(self, x)

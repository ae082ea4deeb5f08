"""EDSR baseline x4 in PyTorch, for comparison."""

from torch import nn


def convolution(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class EDSR(nn.Sequential):
    """From pixels [batch, 3, h, w], 0 to 255, to pixels [batch, 3, 4*h, 4*w]."""

    def __init__(self):
        blocks = [
            Residual(convolution(64, 64), nn.ReLU(), convolution(64, 64))
            for _ in range(16)
        ]
        super().__init__(
            convolution(3, 64),
            Residual(*blocks, convolution(64, 64)),
            *(convolution(64, 256), nn.PixelShuffle(2)),
            *(convolution(64, 256), nn.PixelShuffle(2)),
            convolution(64, 3),
        )

    def forward(self, x):
        return 255 * super().forward(x / 255 - 0.5) + 127.5

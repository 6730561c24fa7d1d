"""Base classes of the networks. They check the input's shape before MXNet sees it."""

from mxnet import nd
from mxnet.gluon import nn


class Network(nn.HybridBlock):
    """A network that maps images (N, C, H, W) to logits (N, num_classes).

    Subclasses set ``smallest_size``, the smallest height and width that leave every layer at least one pixel. Images
    must have `in_channels` channels; None accepts the number in the first batch. Calling the network raises ValueError
    for any other input, because MXNet's own message would name only the layer that failed.

    A network with auxiliary heads, built with ``aux=True``, returns (logits, aux logits, ...) in training and in
    evaluation. Its ``aux_weights`` are the weights of the heads' losses in the paper.
    """

    smallest_size: int = 1
    aux_weights: tuple = ()

    def __init__(self, in_channels=None, **kwargs):
        super().__init__(**kwargs)
        self.in_channels = in_channels

    def forward(self, x, *args):
        if isinstance(x, nd.NDArray):  # while hybridizing it is a Symbol, without a shape to check
            self.check_input(x.shape)
        return super().forward(x, *args)

    def save_parameters(self, *args, **kwargs):
        """Save as any Block does, after waiting for MXNet's pending writes to the weights.

        These are batch norm's statistics, and oneDNN's reordering of the weights after the first inference.
        """
        nd.waitall()
        super().save_parameters(*args, **kwargs)

    def check_input(self, shape):
        """Raise ValueError unless `shape` is (N, C, H, W) with channels and a size that this network accepts."""
        name, smallest = type(self).__name__, self.smallest_size
        if len(shape) != 4:
            raise ValueError(f"{name} takes a batch of images (N, C, H, W), not an array of shape {shape}")
        channels, height, width = shape[1:]
        if min(height, width) < smallest:
            hint = f"enlarge them, with resize={smallest} in the data loader or --resize {smallest} for do_exp.py"
            if width in (1, 3) and channels not in (1, 3):
                hint = "these look like (N, H, W, C), but a network takes (N, C, H, W)"
            raise ValueError(f"{name} takes images of {smallest}x{smallest} or larger, not {height}x{width}: {hint}")
        if self.in_channels not in (None, channels):
            hint = f"build it with in_channels={channels}"
            if width == self.in_channels:
                hint = "these look like (N, H, W, C), but a network takes (N, C, H, W)"
            raise ValueError(f"this {name} has in_channels={self.in_channels}, but the images have {channels}: {hint}")


class SequentialNetwork(Network, nn.HybridSequential):
    """A network that is a stack of blocks: ``net[i]`` and ``net[:i]`` index it, ``print(net)`` lists it.

    With `verbose` each call prints every block's output shape, until the network is hybridized.
    """

    def __init__(self, verbose=False, **kwargs):
        super().__init__(**kwargs)
        self.verbose = verbose

    def add_block(self, *layers):
        block = nn.HybridSequential()
        block.add(*layers)
        self.add(block)

    def hybrid_forward(self, F, x):
        for i, block in enumerate(self):
            x = block(x)
            if self.verbose and isinstance(x, nd.NDArray):
                print(f"Block {i + 1} output: {x.shape}")
        return x

    def __getitem__(self, key):
        if not isinstance(key, slice):
            return super().__getitem__(key)
        part = nn.HybridSequential(prefix=self.prefix)  # MXNet would build a second complete network here
        part.add(*list(self)[key])
        return part

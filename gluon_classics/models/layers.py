"""What every network here shares: the check of its input before MXNet sees it."""

from mxnet import nd
from mxnet.gluon import nn


class Network(nn.HybridBlock):
    """A whole network, (N, C, H, W) images to (N, num_classes) logits.

    Subclasses set ``smallest_size``, the smallest height and width that leave at least one pixel in front of every
    layer. With `in_channels` the images must have as many channels; None takes what the first batch has. Raises
    ValueError for anything else than a 4-d batch of such images; MXNet's own message would name only the layer that
    failed.

    One with auxiliary heads, built with ``aux=True``, returns (logits, aux logits, ...), in training and out of it, and
    sets ``aux_weights``, the share of each head's loss in the sum that its paper trains on.
    """

    smallest_size: int = 1
    aux_weights: tuple = ()

    def __init__(self, in_channels=None, **kwargs):
        super().__init__(**kwargs)
        self.in_channels = in_channels

    def forward(self, x, *args):
        if isinstance(x, nd.NDArray):  # a Symbol, while hybridizing, has no shape to check
            self.check_input(x.shape)
        return super().forward(x, *args)

    def save_parameters(self, *args, **kwargs):
        """As every block's; first it waits for what MXNet still does to weights in the background.

        Those are batch norm's statistics, and oneDNN's new order of the weights after a first inference.
        """
        nd.waitall()
        super().save_parameters(*args, **kwargs)

    def check_input(self, shape):
        """Raise ValueError where `shape` is not that of a batch (N, C, H, W) for this network."""
        name, smallest = type(self).__name__, self.smallest_size
        if len(shape) != 4:
            raise ValueError(f"{name} takes a batch of images (N, C, H, W), not an array of shape {shape}")
        channels, height, width = shape[1:]
        if min(height, width) < smallest:
            hint = f"enlarge them, with resize={smallest} in the data loader or --resize {smallest} for do_exp.py"
            if width in (1, 3) and channels not in (1, 3):
                hint = "these look like (N, H, W, C), and a network takes (N, C, H, W)"
            raise ValueError(f"{name} takes images of {smallest}x{smallest} or larger, not {height}x{width}: {hint}")
        if self.in_channels not in (None, channels):
            hint = f"build it with in_channels={channels}"
            if width == self.in_channels:
                hint = "these look like (N, H, W, C), and a network takes (N, C, H, W)"
            raise ValueError(f"this {name} takes images of {self.in_channels} channels, not {channels}: {hint}")


class SequentialNetwork(Network, nn.HybridSequential):
    """A network that is one stack of blocks, which ``net[i]`` and ``net[:i]`` read and ``print(net)`` lists.

    A verbose one prints each block's output shape. Once hybridized it has no shapes to print: call it before.
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
        part = nn.HybridSequential(prefix=self.prefix)  # MXNet would build a second whole network here
        part.add(*list(self)[key])
        return part

"""How much work a case is: operations, and bytes that must move, for the floors.

A floor is the larger of operations over the machine's matrix product rate and bytes over its copy
rate. Bytes of a network are the input, output and weights of each of its convolutions, once: a
fusion of layers can go below that.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    operations: float  # a multiply-add is two
    bytes: float
    how: str


BLOCKS, CONDITION = 12, 256
# Channels, positions over the three levels, blocks: what lite0 gives of 256 pixels.
LITE0_CHANNELS, LITE0_POSITIONS = 112, 16 * 16 + 8 * 8 + 4 * 4


def flow(dim, step):
    """Operations a vector of the flow; the position code's product is made once a position, elsewhere."""
    half = dim - dim // 2
    hidden = 2 * (half + CONDITION)
    forward = BLOCKS * 2 * (half * hidden + hidden * 2 * (dim // 2) + dim * dim)
    return 3 * forward if step else forward


def flow_parameters(dim):
    half = dim - dim // 2
    hidden = 2 * (half + CONDITION)
    trained = (half + CONDITION) * hidden + hidden + hidden * 2 * (dim // 2) + 2 * (dim // 2) + 2 * dim
    return BLOCKS * trained, BLOCKS * dim * dim


def of_flow(dim, vectors, step):
    """Work a vector. A step reads the weights three times, and Adam reads four arrays and writes three."""
    trained, fixed = flow_parameters(dim)
    if step:
        moved = 4 * (3 * (trained + fixed) + 7 * trained) / vectors + 4 * dim * 4
        return Work(flow(dim, True), moved, "3 x forward, zeros of the rectifiers too; weights three times, Adam's seven arrays once")
    return Work(flow(dim, False), 4 * (trained + fixed) / vectors + 4 * dim * 2, "subnets and rotation of 12 blocks, zeros of the rectifiers too; weights, input and output once")


def network(kind, side, batch):
    """Counted by running timm's network under torch's counter, with a hook on each convolution."""
    import timm
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    net = timm.create_model(kind, pretrained=False, features_only=True, out_indices=[3]).eval()
    moved = 0

    def hook(layer, inputs, output):
        nonlocal moved
        moved += 4 * (inputs[0].numel() + output.numel() + layer.weight.numel())

    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(hook)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(batch, 3, side, side))
    return counter.get_total_flops(), moved


def of(name):
    """Work of one unit of the case: a batch, a vector, an image or a pass; None where no count is meant."""
    part, rest = name.split("/", 1)
    if part == "backbone":
        kind, side, batch = rest.rsplit("_", 2)
        return Work(*network(kind, int(side), int(batch[1:])), "counted on timm's network")
    if part == "flow":
        size, what = rest.split("/")
        dim, vectors = (int(s[1:]) for s in size.split("_"))
        return of_flow(dim, vectors, what == "train_step")
    if part == "metrics":
        pixels = 83 * 256 * 256
        return Work(0, pixels * (4 + 1), "scores and labels read once")
    if name == "whole/test_image":
        operations = moved = 0
        for side in (256, 128, 64):
            o, m = network("tf_efficientnet_lite0", side, 1)
            operations, moved = operations + o, moved + m
        one = of_flow(LITE0_CHANNELS, LITE0_POSITIONS / 3, False)
        return Work(operations + LITE0_POSITIONS * one.operations, moved + LITE0_POSITIONS * one.bytes,
                    "lite0 at three sizes and three flows; without the decoder")
    return None


def of_pass(images, batch=8):
    """A pass over `images` images in steps of `batch`, on lite0's features."""
    operations = moved = 0
    for positions in (256, 64, 16):
        one = of_flow(LITE0_CHANNELS, positions * batch, True)
        vectors = images // batch * batch * positions
        operations, moved = operations + vectors * one.operations, moved + vectors * one.bytes
    return Work(operations, moved, "three flows' steps over all training images")


if __name__ == "__main__":
    import json
    import sys
    from dataclasses import asdict
    counted = {name: of(name) for name in sys.argv[1:]}
    print(json.dumps({name: asdict(work) for name, work in counted.items() if work}))

"""What archbench asks of timm, by timm's documentation, with a few small networks."""

from itertools import pairwise
from types import SimpleNamespace

import torch
from torch import nn

STRIDES = (2, 4, 8, 16, 32)


class Config:
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

    def __init__(self, side=64, fixed=False, num_classes=10):
        self.input_size, self.fixed_input_size = (3, side, side), fixed
        self.num_classes = num_classes


class Info:
    def __init__(self, infos, out_indices):
        self.info, self.out_indices = infos, tuple(out_indices)
        self.infos = [infos[i] for i in out_indices]

    def module_name(self):
        return [name for name, _, _ in self.infos]

    def channels(self):
        return [channels for _, channels, _ in self.infos]

    def reduction(self):
        return [stride for _, _, stride in self.infos]


class FeatureListNet(nn.ModuleDict):
    output_fmt = "NCHW"

    def forward(self, x):
        maps = []
        for name, step in self.items():
            x = step(x)
            if name in self.ends:
                maps.append(x[0] if isinstance(x, tuple) else x)
        return maps


def chain(width=4, padding=1, *, features_only=False, out_indices=range(5), num_classes=10):
    sides = [3] + [width * 2**i for i in range(5)]
    steps = {
        f"stages_{i}": nn.Sequential(
            nn.Conv2d(a, b, 3, 2, padding, bias=False), nn.BatchNorm2d(b), nn.ReLU()
        )
        for i, (a, b) in enumerate(pairwise(sides))
    }
    if not features_only:
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sides[-1], num_classes)]
        return nn.Sequential(*steps.values(), *head)
    infos = [(f"stages.{i}", sides[i + 1], stride) for i, stride in enumerate(STRIDES)]
    net = FeatureListNet({f"stages_{i}": steps[f"stages_{i}"] for i in range(max(out_indices) + 1)})
    net.feature_info = Info(infos, out_indices)
    net.ends = {f"stages_{i}" for i in out_indices}
    return net


class Last(nn.Module):
    """A convolution between channels last; the first reads images."""

    def __init__(self, c_in, c_out, first):
        super().__init__()
        self.conv, self.first = nn.Conv2d(c_in, c_out, 3, 2, 1), first

    def forward(self, x):
        x = x if self.first else x.permute(0, 3, 1, 2)
        return self.conv(x).permute(0, 2, 3, 1)


def channels_last(*, features_only=False, out_indices=range(5)):
    net = chain(features_only=True, out_indices=out_indices)
    for i, name in enumerate(list(net)):
        conv = net[name][0]
        net[name] = Last(conv.in_channels, conv.out_channels, first=i == 0)
    net.output_fmt = "NHWC"
    return net


class Pair(nn.Module):
    """A convolution that gives its map twice over, and reads one of such."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        x = self.conv(x[0] if isinstance(x, tuple) else x)
        return x, x


def pairs(*, features_only=False, out_indices=range(5)):
    net = chain(features_only=True, out_indices=out_indices)
    for name in list(net):
        net[name] = Pair(net[name][0])
    return net


class Branches(nn.Module):
    """Two convolutions that are one once they are fused."""

    def __init__(self, conv):
        super().__init__()
        self.conv, self.beside = conv, nn.Conv2d(conv.in_channels, conv.out_channels, 1, 2)

    def forward(self, x):
        return self.conv(x) + self.beside(x)

    def fuse(self):
        return self.conv


def branched(*, features_only=False, out_indices=range(5)):
    net = chain(features_only=True, out_indices=out_indices)
    for name in list(net):
        net[name][0] = Branches(net[name][0])
    return net


class Bound(nn.Module):
    """A step that takes one map alone."""

    def forward(self, x):
        return x.reshape(-1, 64, 2, 2)


def bound(*, features_only=False, out_indices=range(5)):
    net = chain(features_only=True, out_indices=out_indices)
    list(net.values())[-1].append(Bound())
    return net


def reparameterize_model(net):
    for name, child in net.named_children():
        if hasattr(child, "fuse"):
            setattr(net, name, child.fuse())
        reparameterize_model(child)
    return net


class Plain(nn.Module):
    """A plain transformer's outside: patches, and positions for one size."""

    def __init__(self, img_size=(64, 64), *, features_only=False, out_indices=(-2, -1)):
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 16, 16)
        self.positions = nn.Parameter(torch.zeros(1, 32, *(side // 16 for side in img_size)))
        self.norm = nn.LayerNorm(32)
        self.feature_info = Info([(f"blocks.{i}", 32, 16) for i in range(4)], out_indices)
        self.last = max(i % 4 for i in out_indices)
        self.blocks = nn.ModuleList(nn.Conv2d(32, 32, 1) for _ in range(self.last + 1))

    def forward(self, x):
        maps = []
        x = self.patches(x) + self.positions
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return [maps[i % 4] for i in self.feature_info.out_indices]


NETWORKS = {
    "chain": (chain, Config()),
    "unpadded": (lambda **options: chain(padding=0, **options), Config()),
    "last": (channels_last, Config()),
    "pairs": (pairs, Config()),
    "branched": (branched, Config()),
    "bound": (bound, Config()),
    "plain": (Plain, Config(fixed=True, num_classes=0)),
}
models = SimpleNamespace(FeatureListNet=FeatureListNet)
utils = SimpleNamespace(reparameterize_model=reparameterize_model)


def list_models(pretrained=False):
    return ["chain.a_tag"] if pretrained else list(NETWORKS)


def get_pretrained_cfg(name):
    return Config(96) if name == "chain.a_tag" else NETWORKS[name][1]


def create_model(name, pretrained, **options):
    assert pretrained is False
    return NETWORKS[name.partition(".")[0]][0](**options)

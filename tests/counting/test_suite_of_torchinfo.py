"""The cases of torchinfo's suite: parameters, forms of inputs, and multiply-adds.

Its multiply-adds have one for each output of a layer that adds a bias, are those of the whole
batch, and take every parameter of a layer that is no convolution and not linear for one a sample:
of normalisations and recurrent layers, and of layers that multiply nothing.
"""

from __future__ import annotations

import collections
from typing import Any

import pytest
import torch
from bodies import Body, Case, bias_adds, of_batch, weight
from torch import Tensor, nn
from torch.distributions import Categorical, Normal
from torch.nn import functional as F
from torch.nn.utils import prune
from torch.nn.utils.rnn import pack_padded_sequence

import archbench
from archbench.spec import UsageError

ALONE: dict[str, Any] = {"batch_dim": None}


def digits(answer: Any = None) -> nn.Module:
    """Two convolutions and two linear layers for images of 28 x 28."""

    def forward(m: Any, x: Tensor, *_: Any, **__: Any) -> Any:
        x = F.relu(F.max_pool2d(m.conv1(x), 2))
        x = F.relu(F.max_pool2d(m.drop(m.conv2(x)), 2))
        x = F.log_softmax(m.fc2(F.relu(m.fc1(x.view(-1, 320)))), dim=1)
        return x if answer is None else answer(x)

    return Body(
        forward,
        conv1=nn.Conv2d(1, 10, 5),
        conv2=nn.Conv2d(10, 20, 5),
        drop=nn.Dropout2d(0.3),
        fc1=nn.Linear(320, 50),
        fc2=nn.Linear(50, 10),
    )


def pruned() -> nn.Module:
    module = digits()
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            prune.l1_unstructured(layer, "weight", 0.5)
    return module


def two_types() -> nn.Module:
    def forward(m: Any, x1: Tensor, x2: Tensor) -> Tensor:
        one = m.b(F.relu(m.a(x1)))
        return torch.cat((one, m.d(F.relu(m.c(x2.float())))), 0)

    layers = {
        name: nn.Linear(*sides)
        for name, sides in {"a": (300, 50), "b": (50, 10), "c": (300, 50), "d": (50, 10)}.items()
    }
    return Body(forward, **layers)


def siamese() -> nn.Module:
    def forward(m: Any, one: Tensor, other: Tensor) -> Tensor:
        one, other = (m.first(m.maps(x).flatten(1)) for x in (one, other))
        return torch.sigmoid(m.last((one - other).abs()))

    maps = []
    for c_in, c_out, kernel in ((1, 64, 10), (64, 128, 7), (128, 128, 4), (128, 256, 4)):
        maps += [nn.Conv2d(c_in, c_out, kernel), nn.ReLU(), nn.MaxPool2d(2)]
    return Body(
        forward, maps=nn.Sequential(*maps), first=nn.Linear(256, 4096), last=nn.Linear(4096, 1)
    )


def six_times(m: Any, x: Tensor, args1: Any = None, args2: Any = None) -> Tensor:
    for _ in range(6):
        x = m.conv(x)
    return x


def recursive() -> nn.Module:
    return Body(six_times, conv=nn.Conv2d(64, 64, 3, 1, 1))


def containers() -> nn.Module:
    def inner(m: Any, x: Tensor) -> Tensor:
        for layer in (m.pair, m.between, *m.pair, m.pair, *m.pair):
            x = layer(x)
        return x

    pair = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    child = Body(inner, pair=pair, between=nn.Linear(5, 5))
    layers = nn.ModuleList([nn.Linear(5, 5), child, nn.Linear(5, 5)])

    def forward(m: Any, x: Tensor) -> Tensor:
        for layer in m.layers:
            x = layer(x)
        return x

    return Body(forward, layers=layers)


def unpooling() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        x = m.encode(x)
        pooled, places = m.pool(x)
        return m.decode(m.unpool(pooled, indices=places, output_size=x.size()))

    return Body(
        forward,
        encode=nn.Conv2d(3, 16, 3, padding=1),
        pool=nn.MaxPool2d(2, 2, return_indices=True),
        unpool=nn.MaxUnpool2d(2, 2),
        decode=nn.Conv2d(16, 3, 3, padding=1),
    )


def chosen() -> nn.Module:
    return Body(
        lambda m, x, layer, activation: m.activations[activation](m.choices[layer](x)),
        choices=nn.ModuleDict({"conv": nn.Conv2d(10, 10, 3), "pool": nn.MaxPool2d(3)}),
        activations=nn.ModuleDict({"lrelu": nn.LeakyReLU(), "prelu": nn.PReLU()}),
    )


def shared_activation() -> nn.Module:
    act = nn.ReLU()
    blocks = [nn.Sequential(nn.Linear(4, 4), act, nn.Linear(4, 4), act) for _ in range(3)]
    return nn.Sequential(*blocks)


IMAGES, X = (1, 28, 28), torch.randn(1, 300)
FOUR = [nn.Linear(10, 10)] * 4
SCALED = {"x": {256: torch.randn(10, 1), 512: [torch.randn(10, 1)]}}
SIAMESE = [(1, 1, 88, 88)] * 2
CASES: dict[str, Case] = {
    "two images": Case(digits, (2, *IMAGES), 975200, 21840),
    "five images": Case(digits, torch.randn(5, *IMAGES), 2438000, 21840),
    "seven images": Case(digits, (7, *IMAGES), 3413200, 21840),
    "sixteen images": Case(digits, (16, *IMAGES), 7801600, 21840),
    "an image": Case(digits, (1, *IMAGES), 487600, 21840),
    "on a device": Case(digits, (5, *IMAGES), 2438000, 21840, {"device": "cpu"}),
    "half precision": Case(lambda: digits().half(), (2, *IMAGES), 975200, 21840),
    "a dict of outputs": Case(
        lambda: digits(lambda x: {"output": x, "more": [x]}), [(1, *IMAGES), (12,)], 487600, 21840
    ),
    "one layer": Case(lambda: nn.Linear(2, 5), (1, 2), 15, 15),
    "a layer of sequences": Case(lambda: nn.Linear(8, 64), (32, 16, 8), 294912, 576),
    "layers": Case(
        lambda: nn.Sequential(
            nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1)
        ),
        (64, 128),
        2121792,
        33153,
    ),
    "groups": Case(lambda: nn.Conv2d(16, 32, 3, groups=4), (7, 16, 28, 28), 5602688, 1184),
    "two types by dict": Case(two_types, {"x1": X, "x2": X.long()}, 31120, 31120),
    "two types by list": Case(two_types, [X, X.long()], 31120, 31120),
    "two types by shape": Case(two_types, [(1, 300), ((1, 300), torch.int64)], 31120, 31120),
    "two types, one by name": Case(two_types, X, 31120, 31120, {"kwargs": {"x2": X.long()}}),
    "nothing computed, a dict by name": Case(
        lambda: Body(lambda _, x, scale: scale * (x[256] + x[512][0])),
        SCALED,
        0,
        0,
        {"kwargs": {"scale": 5}},
    ),
    "nothing computed, a dict in a list": Case(
        lambda: Body(lambda _, x, scale: scale * (x[256] + x[512][0])),
        [SCALED["x"]],
        0,
        0,
        {"kwargs": {"scale": 5}},
    ),
    "a text in a dict": Case(
        lambda: Body(lambda _, x: x["tensor"]), [{"tensor": torch.rand(1, 3), "label": "cat"}], 0, 0
    ),
    "none in a dict": Case(
        lambda: Body(lambda _, x: x["tensor"]), [{"tensor": torch.rand(1, 3), "mask": None}], 0, 0
    ),
    "one layer six times": Case(recursive, (1, 64, 28, 28), 173709312, 36928),
    "arguments that are no tensors": Case(
        recursive, (1, 64, 28, 28), 173709312, 36928, {"kwargs": {"args1": "one", "args2": "two"}}
    ),
    "siamese": Case(siamese, SIAMESE, 1055428225, 2251585),
    "containers": Case(containers, (1, 5), 330, 150),
    "containers, no batch": Case(containers, (5,), 330, 150),
    "unpooling": Case(unpooling, (1, 3, 64, 64), 3616768, 883),
    "chosen: a convolution": Case(
        chosen,
        torch.randn(1, 10, 3, 3),
        910,
        911,
        {"kwargs": {"layer": "conv", "activation": "lrelu"}},
    ),
    "nested outputs": Case(
        lambda: Body(
            lambda m, x: {"foo": ({"bar": [Categorical(logits=m.b(m.a(x)))]},)},
            a=nn.Linear(10, 10),
            b=nn.Linear(10, 10),
        ),
        torch.ones(10),
        220,
        220,
    ),
    "a distribution": Case(
        lambda: Body(lambda m, x: Categorical(logits=m.a(x).log_softmax(-1)), a=nn.Linear(10, 5)),
        (1, 10),
        55,
        55,
    ),
    "a normal distribution": Case(
        lambda: Body(
            lambda m, x: Normal(m.a(x), F.softplus(m.b(x))), a=nn.Linear(10, 5), b=nn.Linear(10, 5)
        ),
        (1, 10),
        110,
        110,
    ),
    "a scalar tensor": Case(
        lambda: Body(lambda m, x, t: m.a(x) * t, a=nn.Linear(10, 5)),
        [torch.rand(1, 10), torch.rand([])],
        55,
        55,
    ),
    "a scalar by its shape": Case(
        lambda: Body(lambda m, x, t: m.a(x) * t, a=nn.Linear(10, 5)),
        [((1, 10), torch.float32), ((), torch.float32)],
        55,
        55,
    ),
    "a shared activation": Case(shared_activation, (1, 4), 120, 120),
    "one layer four times": Case(lambda: nn.Sequential(*FOUR), (2, 10), 880, 110),
    "one-by-one convolutions": Case(
        lambda: nn.Sequential(*(nn.Conv1d(1, 1, 1) for _ in range(5))), (1, 1, 10), 100, 10
    ),
    "frozen and trained": Case(
        lambda: nn.Sequential(*(nn.Conv1d(1, 1, 1).requires_grad_(i > 0) for i in range(3))),
        (1, 1, 1),
        6,
        6,
    ),
    "a kernel's size in a tensor": Case(
        lambda: Body(
            lambda m, x: m.conv(x), conv=nn.Conv1d(1, 1, 3, padding=1), side=torch.tensor(3)
        ),
        (1, 1, 16),
        64,
        4,
    ),
    "an input that is no tensor": Case(
        lambda: Body(lambda m, x: m.a(torch.ones(3)), a=nn.Linear(3, 1)), [torch.ones(3)], 4, 4
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_multiply_adds_with_those_of_biases(case: Case) -> None:
    report = case.count()
    assert of_batch(report) + bias_adds(report) == case.theirs
    assert (report.params, report.uncounted) == (case.params, ())


def of_words() -> nn.Module:
    return Body(
        lambda m, x: m.decode(m.encode(m.embed(x))[0]),
        embed=nn.Embedding(20, 300),
        encode=nn.LSTM(300, 512, num_layers=2),
        decode=nn.Linear(512, 20),
    )


def rnn_cell(outside: bool) -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        state = tuple(torch.zeros(len(x), 2, device=x.device) for _ in range(2))
        for _ in range(4):
            state = m.cell(x, state)
        return m.last(state[0]) if outside else state[0]

    return Body(forward, cell=nn.LSTMCell(3, 2), last=nn.Linear(2, 3))


WORDS = {"dtype": torch.int64, "batch_dim": 1}
STEP = 4 * 512 * (300 + 512 + 512 + 512)
BLOCKS = nn.Sequential(
    nn.ReflectionPad2d(3),
    nn.Conv2d(4, 1, 1),
    nn.BatchNorm2d(1),
    *(layer for c in (1, 2, 4) for layer in (nn.Conv2d(c, 2 * c, 1, 2, 1), nn.BatchNorm2d(2 * c))),
)
DILATED = nn.Sequential(
    nn.Conv2d(3, 8, 5, padding="same"),
    nn.BatchNorm2d(8),
    *(
        layer
        for d in (2, 4, 8, 8, 4, 2)
        for layer in (nn.Conv2d(8, 8, 3, padding="same", dilation=d), nn.BatchNorm2d(8))
    ),
    nn.Conv2d(8, 1, 1, padding="same"),
    nn.BatchNorm2d(1),
)

# What is multiplied, for one sample: theirs takes parameters that multiply no element, or all at
# every step.
DIFFERENT: dict[str, tuple[Case, str]] = {
    "an LSTM of one step": (
        Case(of_words, (1, 100), STEP + 512 * 20, 3784580, WORDS),
        "theirs has embeddings and biases: 377.86 M of 100 sequences",
    ),
    "an LSTM of a hundred steps": (
        Case(of_words, (100, 1), 100 * (STEP + 512 * 20), 3784580, WORDS),
        "theirs has biases",
    ),
    "an LSTM in half precision": (
        Case(lambda: of_words().half(), (1, 100), STEP + 512 * 20, 3784580, WORDS),
        "theirs has embeddings and biases",
    ),
    "a cell of four steps": (
        Case(lambda: rnn_cell(False), (2, 3), 4 * 8 * 5, 65),
        "theirs has two biases a gate: 896 of two samples",
    ),
    "a cell and a layer": (
        Case(lambda: rnn_cell(True), (2, 3), 4 * 8 * 5 + 6, 65),
        "theirs has biases: 914 of two samples",
    ),
    "maps and normalisations": (
        Case(lambda: BLOCKS, (4, 4, 64, 64), 4900 * 4 + 36**2 * 2 + 19**2 * 8 + 11**2 * 32, 91),
        "theirs has biases and, once a sample, scale and shift",
    ),
    "dilated maps": (
        Case(lambda: DILATED, (2, 3, 128, 128), 128**2 * (600 + 6 * 576 + 8), 4235),
        "theirs has biases and, once a sample, scale and shift: 135.04 M of two",
    ),
    "half of the weights pruned": (
        Case(pruned, (16, *IMAGES), 480500, 21840),
        "theirs leaves out what is masked, which is computed all the same",
    ),
    "a parameter that is returned": (
        Case(lambda: Body(lambda m, x: m.w, w=weight(4, 8)), (4, 1), 0, 32),
        "theirs multiplies it by the output's size",
    ),
    "a parameter beside layers": (
        Case(
            lambda: Body(lambda m, x: m.fc(x @ m.w), w=weight(128, 64), fc=nn.Linear(64, 32)),
            (3, 128),
            128 * 64 + 64 * 32,
            128 * 64 + 2080,
        ),
        "theirs has no product with a parameter, and biases",
    ),
    "scales between layers": (
        Case(
            lambda: Body(
                lambda m, x: m.b(m.a(x)) * m.s, a=nn.Linear(2, 1), b=nn.Linear(1, 1), s=weight(2)
            ),
            (100, 2),
            3,
            7,
        ),
        "theirs has biases",
    ),
    "one activation with a parameter": (
        Case(
            chosen,
            torch.randn(1, 10, 3, 3),
            0,
            911,
            {"kwargs": {"layer": "pool", "activation": "prelu"}},
        ),
        "theirs counts the slope",
    ),
}


@pytest.mark.parametrize(("case", "difference"), DIFFERENT.values(), ids=DIFFERENT)
def test_multiply_adds_that_another_convention_counts(case: Case, difference: str) -> None:
    report = case.count("meta")
    assert report.macs_all == case.theirs, difference
    assert (report.params, report.uncounted) == (case.params, ())


def test_sequences_of_several_lengths() -> None:
    """theirs multiplies every parameter by the length of the packed data; ours has its steps."""

    def forward(m: Any, words: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(m.embed(words), lengths)
        return m.out(m.lstm(packed)[1][0][-1])

    module = Body(
        forward, embed=nn.Embedding(60, 128), lstm=nn.LSTM(128, 32), out=nn.Linear(32, 18)
    )
    lengths = torch.tensor([13, 12, 11, 4])
    words = torch.ones(20, 4, dtype=torch.int64)
    report = archbench.count(module, (words, lengths), device="cpu", batch_dim=None)
    assert report.macs_all == int(lengths.sum()) * 4 * 32 * (128 + 32) + 4 * 32 * 18
    assert report.params == 60 * 128 + 4 * 32 * (128 + 32 + 2) + 33 * 18


Point = collections.namedtuple("Point", ["x", "y"])


@pytest.mark.parametrize(
    ("module", "params"),
    [
        (Body(lambda m, x: x, w=weight(1024)), 1024),
        (Body(lambda m, x: x, w=weight(1024), conv=nn.Conv2d(3, 6, 3)), 1192),
        (Body(lambda m, x: m.w * x + m.b, w=weight(10), b=weight(10).requires_grad_(False)), 20),
        (nn.Sequential(nn.LeakyReLU(inplace=True), nn.Identity()), 0),
        (Body(lambda m, x: x, held=nn.ParameterList([weight(100, 100), weight(100, 200)])), 30000),
        (Body(lambda m, x: Point(x, x).x, empty=nn.ModuleList()), 0),
        (Body(lambda m, x: x, orig=weight(4, 8), mask=weight(4, 8)), 64),
    ],
    ids=range(7),
)
def test_parameters_that_multiply_nothing(module: nn.Module, params: int) -> None:
    report = archbench.count(module, (2, 10))
    assert (report.params, report.macs_all) == (params, 0)


def test_tied_embeddings_count_once() -> None:
    embedding, head = nn.Embedding(1000, 64), nn.Linear(64, 1000, bias=False)
    head.weight = embedding.weight
    report = archbench.count(nn.Sequential(embedding, head), torch.randint(0, 1000, (2, 8)))
    assert (report.params, report.macs) == (64000, 8 * 64000)


def test_hooks_run_and_change_no_figure() -> None:
    seen = []
    layer = nn.Linear(10, 10)
    layer.register_forward_pre_hook(lambda *_: seen.append("before"))
    layer.register_forward_hook(lambda *_: seen.append("after"))
    report = archbench.count(nn.Sequential(layer, nn.ReLU(True)), (2, 10))
    assert (report.macs, report.params) == (100, 110)
    assert {"before", "after"} <= set(seen)


@pytest.mark.parametrize(
    ("module", "given", "options"),
    [
        (digits(lambda x: x @ x), (5, *IMAGES), {}),
        (Body(lambda m, x: m.conv("text"), conv=nn.Conv2d(1, 1, 1)), (5, *IMAGES), {}),
        (Body(lambda m, x: m.conv(Body), conv=nn.Conv2d(1, 1, 1)), (5, *IMAGES), {}),
        (digits(), [[[torch.randn(IMAGES)]]], {}),
        (digits(), (1, *IMAGES), {"device": "lol"}),
        (digits(), {0: 1}, {}),
        (digits(), "hello", {}),
        (digits(), [(3, -1)], {}),
        (digits(), (3, 0), {}),
        (torch.jit.script(nn.Linear(2, 2)), (1, 2), {}),
    ],
    ids=range(10),
)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_counted_is_refused(
    module: nn.Module, given: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError) as refused:
        archbench.count(module, given, **options)
    assert "\n" not in str(refused.value)

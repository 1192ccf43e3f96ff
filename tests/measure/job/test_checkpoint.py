"""Loading a user's weights: what is taken, and one line for everything that is not. Real files,
written as users write them.
"""

from __future__ import annotations

import argparse
import gzip
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archbench import UsageError, build
from archbench.measure.job.checkpoint import SUFFIXES, check_weights, load_weights
from archbench.measure.job.weights import initialise

Tensors = dict[str, Tensor]
NETWORKS = {"classifier": ("resnet18", None, 64), "detector": ("resnet18", "ssd-huang", 128)}


class Touch:
    """Creates a file when it is unpickled by Python's own unpickler."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def seeded(kind: str, seed: int) -> nn.Module:
    backbone, detector, size = NETWORKS[kind]
    network = build(backbone, detector, size=size)
    initialise(network, seed)
    for index, buffer in enumerate(network.state_dict().values()):
        if not buffer.is_floating_point():
            buffer.fill_(index + seed)
    return network


def copied(network: nn.Module) -> Tensors:
    return {key: tensor.clone() for key, tensor in network.state_dict().items()}


def same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(
        one[key].dtype == other[key].dtype and torch.equal(one[key], other[key]) for key in one
    )


def write(contents: Any, path: Path, form: str = "zip") -> Path:
    if form == "safetensors":
        pytest.importorskip("safetensors.torch", reason="safetensors is not installed").save_file(
            contents, path
        )
    else:
        torch.save(contents, path, _use_new_zipfile_serialization=form == "zip")
    return path


class Norm(nn.Sequential):
    """A convolution with batch normalisation, small enough to be written by hand."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.register_buffer("priors", torch.ones(2), persistent=False)


@pytest.fixture
def network() -> nn.Module:
    return Norm()


@pytest.fixture
def tensors() -> Tensors:
    """A state dict for `network` with other values than it has."""
    generator = torch.Generator().manual_seed(1)
    state = Norm().state_dict()
    return {
        key: torch.randn(value.shape, generator=generator)
        if value.is_floating_point()
        else value + 7
        for key, value in state.items()
    }


@contextmanager
def refused(network: nn.Module, match: str) -> Iterator[None]:
    """One line that matches, and the network as it was."""
    before = copied(network)
    with pytest.raises(UsageError, match=match) as caught:
        yield
    assert str(caught.value).isprintable()
    assert same(before, network.state_dict())


@pytest.mark.parametrize(
    ("form", "suffix"),
    [
        ("zip", ".pt"),
        ("zip", ".pth"),
        ("legacy", ".pth"),
        ("zip", ".bin"),
        ("zip", ".CKPT"),
        ("safetensors", ".safetensors"),
    ],
)
@pytest.mark.parametrize("kind", NETWORKS)
def test_round_trip(kind, form, suffix, tmp_path):
    source, network = seeded(kind, 1), seeded(kind, 2)
    path = write(source.state_dict(), tmp_path / f"weights{suffix}", form)
    assert not same(source.state_dict(), network.state_dict())
    check_weights(path)
    load_weights(network, path)
    assert same(source.state_dict(), network.state_dict())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappings_and_prefix(wrapper, prefix, network, tensors, tmp_path):
    inner = {prefix + key: tensor for key, tensor in tensors.items()}
    contents = (
        {"epoch": 3, "optimizer": {"lr": 0.1}, "best": torch.tensor(0.5), wrapper: inner}
        if wrapper
        else inner
    )
    load_weights(network, write(contents, tmp_path / "a.pth"))
    assert same(tensors, network.state_dict())


def test_a_wrapper_that_holds_no_tensors_is_passed_over(network, tensors, tmp_path):
    """Timm and others keep the network's name or settings under a key that elsewhere holds the
    weights.
    """
    load_weights(
        network,
        write(
            {"state_dict": {"lr": 1}, "model": "resnet18", "model_state_dict": tensors},
            tmp_path / "a.pth",
        ),
    )
    assert same(tensors, network.state_dict())


def test_a_network_with_a_part_called_module_keeps_the_prefix(tensors, tmp_path):
    network = nn.ModuleDict({"module": Norm()})
    load_weights(
        network,
        write({f"module.{key}": tensor for key, tensor in tensors.items()}, tmp_path / "a.pth"),
    )
    assert same(tensors, network["module"].state_dict())


def test_a_prefix_before_some_keys_is_not_taken_off(network, tensors, tmp_path):
    tensors["module.0.bias"] = tensors.pop("0.bias")
    with refused(
        network, r"fit the network: missing keys: 0\.bias; unexpected keys: module\.0\.bias$"
    ):
        load_weights(network, write(tensors, tmp_path / "a.pth"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_are_converted_to_the_networks(dtype, network, tensors, tmp_path):
    load_weights(
        network,
        write({key: tensor.to(dtype) for key, tensor in tensors.items()}, tmp_path / "a.pth"),
    )
    assert same(
        {key: tensor.to(dtype).to(tensor.dtype) for key, tensor in tensors.items()},
        network.state_dict(),
    )


def test_values_that_are_not_finite_are_taken(network, tensors, tmp_path):
    tensors["0.bias"].fill_(float("nan"))
    load_weights(network, write(tensors, tmp_path / "a.pth"))
    assert network[0].bias.isnan().all()


def test_counters_of_training_steps_may_be_missing_or_extra(network, tensors, tmp_path):
    del tensors["1.num_batches_tracked"]
    tensors["9.num_batches_tracked"] = torch.tensor(5)
    load_weights(network, write(tensors, tmp_path / "a.pth"))
    assert torch.equal(network[0].bias, tensors["0.bias"])
    assert network[1].num_batches_tracked == 0


def test_priors_are_neither_expected_nor_touched(network, tensors, tmp_path):
    assert "priors" not in tensors
    load_weights(network, write(tensors, tmp_path / "a.pth"))
    assert torch.equal(network.priors, torch.ones(2))


def test_wrong_shapes_are_named_with_both(network, tensors, tmp_path):
    tensors["0.weight"] = torch.zeros(8, 3, 1, 1)
    with refused(network, r"\(the file's for the network's\): 0\.weight 8x3x1x1 for 4x3x3x3$"):
        load_weights(network, write(tensors, tmp_path / "a.pth"))


def test_shapes_that_could_be_broadcast_are_wrong_too(network, tensors, tmp_path):
    tensors["0.bias"] = torch.tensor(1.0)
    with refused(network, r"0\.bias scalar for 4$"):
        load_weights(network, write(tensors, tmp_path / "a.pth"))


def test_everything_wrong_is_in_one_line_three_of_each_and_how_many_more(
    network, tensors, tmp_path
):
    shapes = {
        key: torch.zeros(9)
        for key in ("0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var")
    }
    with refused(network, r"0\.bias 9 for 4, 1\.weight 9 for 4, 1\.bias 9 for 4 and 2 more$"):
        load_weights(network, write(tensors | shapes, tmp_path / "a.pth"))
    missing = (
        r"missing keys: 0\.weight, 0\.bias, 1\.weight and 3 more; unexpected keys: x0, x1, x2 and "
        r"2 more$"
    )
    with refused(network, missing):
        load_weights(
            network, write({f"x{index}": torch.zeros(1) for index in range(5)}, tmp_path / "a.pth")
        )
    tensors["0.bias"] = torch.zeros(2)
    tensors["extra"] = tensors.pop("1.bias")
    with refused(network, r"0\.bias 2 for 4; missing keys: 1\.bias; unexpected keys: extra$"):
        load_weights(network, write(tensors, tmp_path / "a.pth"))


def test_the_last_key_being_wrong_leaves_the_first_as_it_was(tmp_path):
    network = seeded("detector", 1)
    state = seeded("detector", 2).state_dict()
    *_, last = state
    with refused(network, "do not fit"):
        load_weights(network, write(state | {last: torch.zeros(1)}, tmp_path / "a.pth"))


def test_keys_cannot_break_the_line_or_the_terminal(network, tensors, tmp_path):
    with refused(network, "unexpected keys: "):
        load_weights(network, write(tensors | {"a\n\x1b[31m": torch.zeros(1)}, tmp_path / "a.pth"))


def test_a_shared_weight_may_stand_under_one_of_its_names_but_not_have_two_values(tmp_path):
    """RetinaNet's heads are one module; safetensors' save_model writes the first of equal names."""
    source, network = (
        nn.ModuleList([layer, layer]) for layer in (nn.Linear(2, 2), nn.Linear(2, 2))
    )
    state = copied(source)
    bare = {key: tensor for key, tensor in state.items() if key.startswith("1.")}
    with refused(network, r"missing keys: 0\.bias$"):
        load_weights(network, write({"1.weight": bare["1.weight"]}, tmp_path / "a.pth"))
    with refused(network, r"two values for one shared weight: 0\.weight and 1\.weight$"):
        load_weights(network, write(state | {"1.weight": torch.zeros(2, 2)}, tmp_path / "a.pth"))
    load_weights(network, write(bare, tmp_path / "a.pth"))
    assert same(state, network.state_dict())


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle 2", "pickle 4"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
def test_code_is_refused_and_not_run(form, wrapped, network, tensors, tmp_path):
    mark, path = tmp_path / "mark", tmp_path / "a.pth"
    contents = {"state_dict": tensors, "extra": Touch(mark)} if wrapped else Touch(mark)
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps(contents, protocol=int(form[-1])))
    else:
        write(contents, path, form)
    with refused(network, "nothing was run"):
        load_weights(network, path)
    assert not mark.exists()
    if form == "pickle 2" and not wrapped:
        pickle.loads(path.read_bytes())
        assert mark.exists(), "the file does no harm, so that this test shows nothing"


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        (argparse.Namespace(lr=1), r"argparse\.Namespace"),
        (nn.Linear(1, 1), r"torch\.nn\.modules\.linear\.Linear"),
    ],
)
def test_objects_beside_the_tensors_are_refused_by_name(extra, name, network, tensors, tmp_path):
    with refused(
        network,
        rf"refused: besides tensors they hold {name}, .*torch\.save\(network\.state_dict\(\)",
    ):
        load_weights(network, write({"state_dict": tensors, "extra": extra}, tmp_path / "a.pth"))


@pytest.mark.parametrize(
    ("contents", "what"),
    [
        ({}, "an empty dictionary, but no state dict"),
        (
            {"epoch": 1, "optimizer": {}, "args": [], "a": 0, "b": 0},
            "a dictionary with epoch, optimizer, args and 2 more, but no state",
        ),
        ({"state_dict": {}}, "a dictionary with state_dict, but no state dict"),
        (torch.zeros(3), "an object: Tensor"),
        ([1, 2], "an object: list"),
        ({"a": torch.zeros(1), "epoch": 3}, r"entry epoch \(int\)"),
        ({"a": torch.zeros(1), 5: torch.zeros(1)}, r"entry 5 \(Tensor\)"),
        ({"a": torch.zeros(3).to_sparse()}, r"entry a \(Tensor\) is not a plain tensor"),
        ({"a": torch.zeros(3, device="meta")}, r"entry a \(Tensor\) is not a plain tensor"),
        ({"a": torch.zeros(3, dtype=torch.complex64)}, r"entry a \(Tensor\) is not a plain tensor"),
    ],
    ids=str,
)
def test_what_holds_no_state_dict_is_no_checkpoint(contents, what, network, tmp_path):
    with refused(network, f"are not a checkpoint: .*{what}"):
        load_weights(network, write(contents, tmp_path / "a.pth"))


SAFETENSORS = (2).to_bytes(8, "little") + b"{}"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("contents", "what"),
    [
        (b"", "empty"),
        (b"hello\nthere", "text"),
        ("Gewichte für später".encode(), "text"),
        (b"<!DOCTYPE html><html>sign in</html>", "a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "a Git LFS pointer",
        ),
        (gzip.compress(b"weights"), "a gzip archive"),
        (pickle.dumps({"a": 1}), "a plain Python pickle"),
        (b"\x93NUMPY\x01\x00", "a NumPy array"),
        (SAFETENSORS, r"a safetensors file \(rename"),
        (b"\x00\x01\x02\x03", "of no known format"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_files_are_named_for_what_they_are(contents, what, network, tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(contents)
    with refused(network, f"are not a checkpoint that can be loaded: the file is {what}"):
        load_weights(network, path)


@pytest.mark.parametrize(
    ("form", "what"),
    [("zip", "cut off or damaged"), ("legacy", "an old-style PyTorch file, cut off")],
)
def test_a_file_that_was_cut_off_is_said_to_be(form, what, network, tensors, tmp_path):
    path = write(tensors, tmp_path / "a.pth", form)
    path.write_bytes(path.read_bytes()[:-20])
    with refused(network, what):
        load_weights(network, path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_program_is_no_checkpoint(network, tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), tmp_path / "a.pt")
    with refused(network, "a TorchScript program"):
        load_weights(network, tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("contents", "what"),
    [
        (b"hello", "text"),
        (SAFETENSORS[:-1], "a damaged safetensors file"),
        (b"", "empty"),
        (None, "a PyTorch file"),
    ],
)
def test_what_is_not_safetensors_is_named_too(contents, what, network, tensors, tmp_path):
    pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    path = tmp_path / "a.safetensors"
    if contents is None:
        write(tensors, path)
    else:
        path.write_bytes(contents)
    with refused(network, f"the file is {what}"):
        load_weights(network, path)


def test_without_the_package_safetensors_say_how_to_install_it(network, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    path = tmp_path / "a.safetensors"
    path.write_bytes(SAFETENSORS)
    with pytest.raises(UsageError, match="pip install safetensors"):
        check_weights(path)
    with refused(network, "pip install safetensors"):
        load_weights(network, path)


def test_running_out_of_memory_is_not_blamed_on_the_file(network, tensors, monkeypatch, tmp_path):
    """The worker makes an `oom` record of it."""
    path = write(tensors, tmp_path / "a.pth")
    for error in (
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ):
        monkeypatch.setattr(
            torch, "load", lambda *_, error=error, **__: (_ for _ in ()).throw(error)
        )
        with pytest.raises(type(error)) as caught:
            load_weights(network, path)
        assert caught.value is error


@pytest.mark.parametrize(
    "check", [check_weights, lambda path: load_weights(Norm(), path)], ids=["check", "load"]
)
def test_paths_that_cannot_be_are_usage_errors(check, tmp_path):
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "file.txt").write_text("text")
    (tmp_path / "bare").write_text("text")
    for name, message in {
        "absent.pth": "no such file",
        "folder.pth": "are a folder, not a file",
        "file.txt": rf"invalid suffix '\.txt' .* \(choose from {', '.join(SUFFIXES)}\)",
        "bare": "invalid suffix ''",
        "file.txt/a.pth": "cannot be read: Not a directory",
    }.items():
        with pytest.raises(UsageError, match=message):
            check(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.pth")
    with pytest.raises(UsageError, match="a device or pipe"):
        check_weights(tmp_path / "a.pth")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_a_file_without_permission_cannot_be_read(tmp_path):
    (tmp_path / "a.pth").touch(mode=0o000)
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        check_weights(tmp_path / "a.pth")


def test_the_check_loads_neither_torch_nor_safetensors(tmp_path):
    path = tmp_path / "a.pth"
    path.touch()
    code = (
        "import sys, pathlib; from archbench.measure.job.checkpoint import check_weights;"
        "check_weights(pathlib.Path(sys.argv[1])); print({'torch', 'safetensors'} & "
        "sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_an_archive_of_a_version_that_is_not_known_is_one_line(network, tensors, tmp_path):
    stored = write(tensors, tmp_path / "a.pth")
    data = bytearray(stored.read_bytes())
    # The version that a reader needs, in the first entry of the archive's table of contents.
    data[data.index(b"PK\x01\x02") + 6] = 99
    stored.write_bytes(data.replace(b"data.pkl", b"data.pkx"))
    with refused(network, "are not a checkpoint that can be loaded"):
        load_weights(network, stored)


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(
    network, tensors, tmp_path, monkeypatch
):
    stored = write(tensors, tmp_path / "a.pth")
    monkeypatch.setattr("archbench.measure.job.checkpoint.SMALL_BYTES", 1000)
    load_weights(network, stored)
    with (
        zipfile.ZipFile(stored) as archive,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, bytes(100 * len(archive.read(name))))
    with refused(network, r"unpacked they are [\d,]+ bytes \(at most [\d,]+ for a file"):
        load_weights(network, tmp_path / "b.pth")

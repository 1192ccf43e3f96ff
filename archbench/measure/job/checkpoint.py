"""Weights from a file of the user's: PyTorch or safetensors, tensors only. Torch is loaded only to
load them.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import stat
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, TypeGuard

from archbench.measure.job.out_of_memory import is_out_of_memory
from archbench.spec import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
SUFFIXES = (*TORCH_SUFFIXES, ".safetensors")
WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Keys under which training scripts keep the state dict, beside the epoch and the optimizer."""
PREFIX = "module."
"""What DataParallel puts before every key."""
UNCOUNTED = "num_batches_tracked"
"""Batch normalisation's counter of training steps: no figure depends on it, and old or converted
files lack it.
"""
NAMED = 3
"""Keys that an error names; it counts the rest."""
EXPANSION = 10
"""How many times a file's size its contents may have; torch.save packs nothing."""
SMALL_BYTES = 2**28
"""What any file's contents may have."""
SAFETENSORS_HEADER = 100_000_000
"""The most bytes that a safetensors header may have (the format's own limit)."""

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer (`git lfs pull` fetches the file itself)"),
    (
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19",
        "an old-style PyTorch file, cut off, damaged or with other contents than tensors",
    ),
    (b"\x80", "a plain Python pickle, which could run code (nothing was run)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
)
"""First bytes of what is found under a checkpoint's name."""


def check_weights(path: Path) -> None:
    """Raise UsageError unless the file is there, can be read, and has a known ending whose package
    is installed; reads nothing.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise UsageError(
                f"weights {path} are {'a folder' if stat.S_ISDIR(mode) else 'a device or pipe'}, "
                "not a file"
            )
        path.open("rb").close()
    except FileNotFoundError:
        raise UsageError(f"weights {path}: no such file") from None
    except OSError as error:
        raise UsageError(f"weights {path} cannot be read: {error.strerror}") from None
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"invalid suffix {suffix!r} of weights {path} (choose from {', '.join(SUFFIXES)})"
        )
    if suffix not in TORCH_SUFFIXES and importlib.util.find_spec("safetensors") is None:
        raise UsageError(f"weights {path} need the package safetensors: pip install safetensors")


def load_weights(network: nn.Module, path: Path) -> None:
    """Copy a checkpoint's tensors into the network's parameters and persistent buffers, in the
    network's own data types.

    The file holds a state dict, bare or under a key of `WRAPPERS`, with or without `module.` before
    every key; all keys and shapes must fit. A name of a weight that the network shares may be
    absent where another of its names is there. Nothing in the file is executed. Raises UsageError
    where it cannot be, and then has changed nothing.
    """
    import torch

    check_weights(path)
    targets = network.state_dict(keep_vars=True)
    tensors = _strip_prefix(_state_dict(_read(path), path), targets)
    _check_fit(tensors, targets, path)
    with torch.no_grad():
        for key, tensor in tensors.items():
            if key in targets:
                targets[key].copy_(tensor)


def _read(path: Path) -> object:
    """Read what the file holds, onto the CPU; UsageError where that is not tensors and plain
    data.
    """
    read = _read_torch if path.suffix.lower() in TORCH_SUFFIXES else _read_safetensors
    try:
        return read(path)
    except (UsageError, MemoryError):
        raise
    except OSError as error:
        raise UsageError(f"weights {path} cannot be read: {error.strerror or error}") from None
    except (
        Exception
    ) as error:  # Whatever the bytes lead the reader to: KeyError, EOFError, SafetensorError, ...
        if is_out_of_memory(error):
            raise
        raise UsageError(
            f"weights {path} are not a checkpoint that can be loaded: the file is {_identify(path)}"
        ) from None


def _read_torch(path: Path) -> object:
    import torch

    _check_expansion(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Of the pickle's protocol and the like: what comes of it is said in one line.
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # Only the message says which code the file asks for.
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if not wanted:
            raise
        raise UsageError(
            f"weights {path} are refused: besides tensors they hold {wanted[1]}, code that "
            "loading would run; nothing was run (torch.save(network.state_dict(), ...) writes "
            "tensors only)"
        ) from None


def _check_expansion(path: Path) -> None:
    """Raise UsageError for a zip archive that is far larger unpacked than packed."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except Exception:
        return  # An old-style file, or one that torch will not read either.
    most = max(EXPANSION * path.stat().st_size, SMALL_BYTES)
    if unpacked > most:
        raise UsageError(
            f"weights {path} are refused: unpacked they are {unpacked:,} bytes (at most {most:,} "
            "for a file of this size)"
        )


def _read_safetensors(path: Path) -> object:
    # Optional, and by name so that the type checker asks the same with and without it.
    load_file: Callable[..., object] = importlib.import_module("safetensors.torch").load_file
    return load_file(path, device="cpu")


def _identify(path: Path) -> str:
    """Say in a few words what a file is that no reader took."""
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        return "empty"
    if head.startswith(b"PK\x03\x04"):
        return _identify_zip(path)
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= SAFETENSORS_HEADER:
        damaged = path.suffix.lower() == ".safetensors"
        return (
            "a damaged safetensors file"
            if damaged
            else "a safetensors file (rename it to end in .safetensors)"
        )
    if head[257:262] == b"ustar":
        return "a tar archive"
    if re.match(rb"\s*<(!doctype )?html", head, re.IGNORECASE):
        return "a web page"
    return "of no known format" if re.search(rb"[^\s\x20-\xff]", head) else "text"


def _identify_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
    except Exception:  # Whatever the bytes lead its reader to.
        return "a PyTorch file or zip archive, cut off or damaged"
    if "constants.pkl" in names:
        return "a TorchScript program, not a state dict"
    if "data.pkl" not in names:
        return "a zip archive, not made by torch.save"
    if path.suffix.lower() not in TORCH_SUFFIXES:
        return "a PyTorch file (rename it to end in .pth)"
    return "a PyTorch file, damaged or with other contents than torch.save writes for tensors"


def _state_dict(loaded: object, path: Path) -> dict[str, Tensor]:
    """Take the state dict out of what a file holds; UsageError where there is none or it holds more
    than plain tensors.
    """
    inner = (
        (loaded[key] for key in WRAPPERS if key in loaded) if isinstance(loaded, Mapping) else ()
    )
    found = next((candidate for candidate in (*inner, loaded) if _holds_tensors(candidate)), None)
    if found is None:
        what = (
            f"a dictionary with {_listed(map(_quoted, loaded))}"
            if isinstance(loaded, Mapping) and loaded
            else f"an object: {type(loaded).__name__}"
        )
        what = "an empty dictionary" if loaded == {} else what
        raise UsageError(
            f"weights {path} are not a checkpoint: {what}, but no state dict, bare or under "
            f"{', '.join(WRAPPERS)}"
        )
    tensors = {
        key: value for key, value in found.items() if isinstance(key, str) and _is_plain(value)
    }
    for key, value in found.items():
        if key not in tensors:
            kind = type(value).__name__
            raise UsageError(
                f"weights {path} are not a checkpoint: entry {_quoted(key)} ({kind}) is not a "
                "plain tensor under a name"
            )
    return tensors


def _holds_tensors(candidate: object) -> TypeGuard[Mapping[object, object]]:
    import torch

    return isinstance(candidate, Mapping) and any(
        isinstance(value, torch.Tensor) for value in candidate.values()
    )


def _is_plain(value: object) -> TypeGuard[Tensor]:
    """Whether a value is a tensor whose numbers can be copied: dense and real, not quantized, with
    data.
    """
    import torch

    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        return False
    return not (value.is_meta or value.is_quantized or value.is_complex() or value.is_nested)


def _strip_prefix(tensors: dict[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take `module.` off the keys where all have it and not all of the network's do."""
    if all(key.startswith(PREFIX) for key in tensors) and not all(
        key.startswith(PREFIX) for key in targets
    ):
        return {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items()}
    return tensors


def _check_fit(tensors: Mapping[str, Tensor], targets: Mapping[str, Tensor], path: Path) -> None:
    """Raise UsageError, one line for all that is wrong, unless the file's keys and shapes are the
    network's.
    """
    # RetinaNet's heads are one module under several names, of which safetensors' save_model keeps
    # one.
    shared: defaultdict[int, list[str]] = defaultdict(list)
    for key, target in targets.items():
        if _counts(key):
            shared[id(target)].append(key)
    found = [key for key in tensors if key in targets]
    shapes = [
        f"{_quoted(key)} {_shape(tensors[key])} for {_shape(targets[key])}"
        for key in found
        if tensors[key].shape != targets[key].shape
    ]
    faults = {
        "wrong shapes (the file's for the network's)": shapes,
        "missing keys": [
            _quoted(keys[0]) for keys in shared.values() if not any(key in tensors for key in keys)
        ],
        "unexpected keys": [_quoted(key) for key in tensors if key not in targets and _counts(key)],
    }
    if not any(faults.values()):
        pairs = [
            pair
            for keys in shared.values()
            for pair in pairwise(key for key in keys if key in tensors)
        ]
        faults = {
            "two values for one shared weight": [
                " and ".join(pair) for pair in pairs if _differ(*(tensors[key] for key in pair))
            ]
        }
    if any(faults.values()):
        text = "; ".join(
            f"{fault}: {_listed(entries)}" for fault, entries in faults.items() if entries
        )
        raise UsageError(f"weights {path} do not fit the network: {text}")


def _differ(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one shape hold different numbers; NaN is NaN."""
    if (
        one.data_ptr() == other.data_ptr()
        and one.stride() == other.stride()
        and one.dtype == other.dtype
    ):
        return False  # torch.save keeps what was shared shared.
    one, other = one.double(), other.double()
    return not bool(((one == other) | (one.isnan() & other.isnan())).all())


def _counts(key: str) -> bool:
    return key.rpartition(".")[2] != UNCOUNTED


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _quoted(key: object) -> str:
    """Write a key as it is, or escaped where it could break the line or the terminal."""
    return key if isinstance(key, str) and key.isprintable() else repr(key)


def _listed(entries: Iterable[str]) -> str:
    """Name the first three and count the rest."""
    entries = list(entries)
    more = len(entries) - NAMED
    return ", ".join(entries[:NAMED]) + (f" and {more} more" if more > 0 else "")

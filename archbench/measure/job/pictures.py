"""Real pictures to time on. Torch is loaded only to prepare them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archbench.spec import UsageError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")
LIMIT = 100
"""Pictures that are used, in the order of their names; they are held in memory."""


def find_pictures(folder: Path) -> list[Path]:
    """List a folder's pictures by their endings, at most 100; UsageError where there are none or it
    cannot be read.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise UsageError(f"image folder {folder} cannot be read: {error.strerror}") from None
    if not files:
        raise UsageError(f"image folder {folder} holds no picture ({', '.join(SUFFIXES)})")
    return files[:LIMIT]


def check_pictures(folder: Path) -> None:
    """Raise UsageError unless the folder's pictures are there and the first can be decoded."""
    first = find_pictures(folder)[0]
    _read_picture(first)


def load_pictures(folder: Path, prepare: Callable[..., Any], size: tuple[int, int]) -> list[Tensor]:
    """Read a folder's pictures and prepare each as the paper does: float [3, H, W] for an input of
    `size` (width, height).
    """
    import numpy as np
    import torch

    images = []
    for path in find_pictures(folder):
        pixels = torch.from_numpy(np.array(_read_picture(path)))
        images.append(prepare(pixels.permute(2, 0, 1), size).image)
    return images


def _read_picture(path: Path) -> Image.Image:
    """Decode a picture to RGB; UsageError where that cannot be."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UsageError(f"{path} is no picture that can be read") from None

"""Real pictures to time on. Torch is loaded only to prepare them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archbench.spec import UsageError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM")
"""What these endings stand for: Pillow would run other programs for some of the rest."""
LIMIT = 100
"""Pictures that are used, in the order of their names; they are held in memory."""
MOST_PIXELS = 100_000_000
"""Pixels that a picture has at most: a small file may say that it has any number."""
TO_BYTE = 257
"""What brings 65535, the most in 16 bits, to 255."""


def find_pictures(folder: Path) -> list[Path]:
    """List a folder's pictures by their endings, at most 100; UsageError where there are none or it
    cannot be read.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise UsageError(f"image folder {folder} cannot be read: {error.strerror}") from None
    if not files:
        raise UsageError(f"image folder {folder} contains no pictures ({', '.join(SUFFIXES)})")
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
    """Decode a picture to RGB, upright; UsageError where that cannot be."""
    from PIL import Image

    if not path.is_file():
        raise UsageError(f"{path} is not a readable picture: not a regular file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of what is odd in the file, and of its size.
            with Image.open(path, formats=FORMATS) as picture:
                return _decoded(picture, path)
    except (UsageError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise UsageError(f"{path} has too many pixels (at most {MOST_PIXELS:,})") from None
    except OSError as error:
        why = f": {error.strerror}" if error.strerror else ""
        raise UsageError(f"{path} is not a readable picture{why}") from None
    except Exception:  # Whatever the bytes lead a decoder to.
        raise UsageError(f"{path} is not a readable picture") from None


def _decoded(picture: Image.Image, path: Path) -> Image.Image:
    from PIL import Image, ImageOps

    pixels = picture.width * picture.height
    if pixels > MOST_PIXELS:
        raise UsageError(f"{path} has {pixels:,} pixels (at most {MOST_PIXELS:,})")
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I"):
        # Pillow cuts off what is above 255 where it is to turn 16 bits into 8.
        import numpy as np

        values = np.asarray(upright).astype(np.int64).clip(0, TO_BYTE * 255) // TO_BYTE
        upright = Image.fromarray(values.astype(np.uint8))
    return upright.convert("RGB")

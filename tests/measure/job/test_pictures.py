"""Pictures of any depth and turn are read as they are meant; hostile ones are one line."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archbench.measure.job import pictures
from archbench.measure.job.pictures import check_pictures
from archbench.spec import UsageError


def png(width: int, height: int) -> bytes:
    """A file of some bytes that says to be of any size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize("suffix", ["png", "ppm"])
def test_16_bits_are_brought_to_8(tmp_path: Path, suffix: str) -> None:
    """A past bug: what is above 255 of 65535 was white."""
    grey = np.full((2, 2), 0x8000, np.uint16)
    if suffix == "png":
        Image.fromarray(grey).save(tmp_path / "a.png")
    else:
        (tmp_path / "a.ppm").write_bytes(b"P5 2 2 65535\n" + grey.byteswap().tobytes())
    read = pictures._read_picture(tmp_path / f"a.{suffix}")
    assert read.mode == "RGB"
    assert np.unique(np.asarray(read)).tolist() == [127]


def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    left = Image.new("RGB", (4, 2))
    left.paste((255, 255, 255), (0, 0, 2, 2))
    left.save(tmp_path / "a.png", exif=exif)
    upright = np.asarray(pictures._read_picture(tmp_path / "a.png"))
    assert upright.shape == (4, 2, 3)
    assert upright[:2].min() == 255
    assert upright[2:].max() == 0


@pytest.mark.parametrize("side", [20_000, 2**31 - 1])
def test_a_small_file_of_many_pixels_is_one_line(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(png(side, side))
    with pytest.raises(UsageError, match=r"a\.png has (400,000,000|more) pixels.* taken"):
        check_pictures(tmp_path)


def test_a_large_picture_is_read_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    check_pictures(tmp_path)
    assert not recwarn.list


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        png(8, 8)[:45],
        b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00" + bytes(40),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        b"P6 99999999999999999999 1 255\n",
        b"RIFF\x10\x00\x00\x00WEBPVP8 \x04\x00\x00\x00abcd",
        b"BM" + bytes(60),
    ],
)
def test_what_is_no_picture_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.png is no picture that can be read"):
        check_pictures(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UsageError, match="not a regular file"):
        check_pictures(tmp_path)

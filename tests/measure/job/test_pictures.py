"""Pictures of a folder as what a network is timed on."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from archbench.measure.job.pictures import LIMIT, check_pictures, find_pictures, load_pictures
from archbench.measure.job.supervisor import run_job
from archbench.measure.job.workload import batches
from archbench.records import Store
from archbench.settings import Settings
from archbench.spec import UsageError
from archbench.zoo.catalogue import resolve
from archbench.zoo.contracts import Preparation

FAST = Settings(device="cpu", target=0.5, n_min=3, t_min_s=0.01, budget_s=2)


def test_batches_are_filled_up_from_the_first_image():
    images = [torch.full((1,), float(i)) for i in range(5)]
    assert [[int(i) for i in batch] for batch in batches(images, 2)] == [[0, 1], [2, 3], [4, 0]]


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (8, 4)) -> None:
    Image.new("RGB", size, colour).save(path)


def test_pictures_are_prepared_as_the_paper_does(tmp_path):
    picture(tmp_path / "a.png", (10, 20, 30))
    prepare = Preparation(order="bgr", scale=255, mean=(1, 2, 3), std=(1, 1, 1))
    (image,) = load_pictures(tmp_path, prepare, (6, 5))
    assert image.shape == (3, 5, 6)
    assert torch.allclose(image.mean(dim=(1, 2)), torch.tensor([29.0, 18.0, 7.0]))


def test_pictures_are_taken_by_name_and_up_to_a_limit(tmp_path):
    for number in range(LIMIT + 3):
        picture(tmp_path / f"{number:03}.png", (0, 0, 0))
    (tmp_path / "notes.txt").write_text("no picture")
    assert [path.name for path in find_pictures(tmp_path)] == [f"{n:03}.png" for n in range(LIMIT)]


def test_folders_without_readable_pictures_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        check_pictures(tmp_path / "absent")
    with pytest.raises(UsageError, match="contains no pictures"):
        check_pictures(tmp_path)
    buffer = io.BytesIO()
    Image.new("RGB", (50, 50)).save(buffer, "PNG")
    (tmp_path / "torn.png").write_bytes(buffer.getvalue()[:60])
    with pytest.raises(UsageError, match=r"torn\.png"):
        check_pictures(tmp_path)


def test_a_job_is_timed_on_pictures(tmp_path):
    for number in range(3):
        picture(tmp_path / f"{number}.png", (number * 50, 0, 0))
    settings = replace(FAST, images=str(tmp_path))
    record = run_job(resolve("resnet18", size=64).spec, settings, Store(tmp_path / "results"))
    assert (record.status, record.conditions["inputs"]) == ("ok", "3 pictures")

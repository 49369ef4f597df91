from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from holdfast.data import read
from holdfast.errors import DataError
from holdfast.recipes.classify import ClassifyData

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def save(path: Path, pixels: np.ndarray = GREY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def told(path: Path) -> str:
    with pytest.raises(DataError) as error:
        read([path], ClassifyData())
    return str(error.value)


def test_a_folder_of_folders_gives_labels(tmp_path: Path) -> None:
    save(tmp_path / "digits/7/12.png")
    save(tmp_path / "digits/7/2.PNG", GREY + 1)
    save(tmp_path / "digits/10/1.bmp", GREY + 2)
    (tmp_path / "digits/7/notes.txt").write_text("left alone")
    examples = read([tmp_path / "digits"], ClassifyData())
    assert isinstance(examples.inputs, np.ndarray)
    assert examples.inputs.dtype == np.uint8
    assert examples.labels == ["10", "7", "7"]
    assert examples.origins == [str(tmp_path / "digits" / name) for name in ("10/1.bmp", "7/12.png", "7/2.PNG")]
    assert np.array_equal(examples.inputs, np.stack([GREY + 2, GREY, GREY + 1]))


def test_an_image_alone_and_a_folder_of_images_have_no_labels(tmp_path: Path) -> None:
    path = save(tmp_path / "new/a.png")
    save(tmp_path / "new/b.png")
    assert read([path], ClassifyData()).labels is None
    assert read([tmp_path / "new"], ClassifyData()).labels is None
    assert len(read([path, tmp_path / "new/b.png"], ClassifyData())) == 2


@pytest.mark.parametrize(("layout", "expected"), [("rows", GREY), ("columns", GREY.T), ("pixels", GREY.reshape(12, 1))])
def test_layouts(tmp_path: Path, layout: str, expected: np.ndarray) -> None:
    examples = read([save(tmp_path / "a.png")], ClassifyData(layout=layout))  # type: ignore[arg-type]
    assert np.array_equal(examples.inputs[0], expected)


def test_colour_becomes_grey_and_sixteen_bits_become_eight(tmp_path: Path) -> None:
    colour = save(tmp_path / "colour.png", np.repeat(GREY[:, :, None], 3, axis=2))
    deep = save(tmp_path / "deep.png", GREY.astype(np.uint16) * 257)
    assert np.array_equal(read([colour, deep], ClassifyData()).inputs, [GREY, GREY])


def test_the_odd_size_is_named(tmp_path: Path) -> None:
    save(tmp_path / "d/a/1.png")
    save(tmp_path / "d/b/2.png", GREY.T)
    assert told(tmp_path / "d") == (
        f"{tmp_path}/d/b/2.png is 3x4 pixels; {tmp_path}/d/a/1.png is 4x3. "
        "All images must have one size: scale or crop the odd ones."
    )


def test_images_both_bare_and_in_folders(tmp_path: Path) -> None:
    save(tmp_path / "d/1.png")
    save(tmp_path / "d/b/2.png")
    assert told(tmp_path / "d") == (
        f"{tmp_path}/d holds images both directly (1.png) and in subfolders (b/2.png); "
        "expected ROOT/label/image with labels, or ROOT/image without."
    )


def test_a_folder_without_images(tmp_path: Path) -> None:
    assert told(tmp_path).startswith(f"{tmp_path} holds no images (.png, .jpg")
    assert "expected ROOT/label/image, such as " in told(tmp_path)


def test_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"not an image at all")
    assert told(path).startswith(f"{path} cannot be read as an image: it is cut short, damaged or of another kind (")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".gif", ".jpg"])
def test_an_image_cut_short_anywhere(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", np.random.default_rng(0).integers(0, 255, (9, 9), np.uint8))
    content = path.read_bytes()
    end = len(content) // 2 if suffix in (".png", ".jpg") else len(content) - 20
    for length in range(0, end, 3):
        path.write_bytes(content[:length])
        assert told(path).startswith(f"{path} cannot be read as an image")


@pytest.mark.parametrize("content", [b"P5 9 x 255\n" + bytes(9), b"P5 9"])
def test_a_damaged_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(content)
    assert told(path).startswith(f"{path} cannot be read as an image")


def test_a_header_that_claims_a_huge_image(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 60000 60000 255\n" + bytes(10))
    assert told(path).startswith(f"{path} claims to be a huge image (")


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tiff", GREY.astype(np.float32))
    assert told(path) == f"{path} has 32 bits a pixel; expected 8 or 16. Convert it first."

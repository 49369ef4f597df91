from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from holdfast.data import read
from holdfast.errors import DataError, HoldfastWarning
from holdfast.tasks.classify.settings import ClassifyData

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


def test_colour_becomes_grey_and_sixteen_bits_are_scaled_to_255(tmp_path: Path) -> None:
    colour = save(tmp_path / "colour.png", np.repeat(GREY[:, :, None], 3, axis=2))
    deep = save(tmp_path / "deep.png", GREY.astype(np.uint16) * 257)
    assert np.array_equal(read([colour, deep], ClassifyData()).inputs, [GREY, GREY])


def png(numbers: np.ndarray, colours: int) -> bytes:
    """A PNG file of 16 bits per channel, [height, width, channels], of a type of colours of the standard."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">2I5B", numbers.shape[1], numbers.shape[0], 16, colours, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(("colours", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_twelve_bits_in_sixteen_keep_their_depth(tmp_path: Path, colours: int, channels: int) -> None:
    numbers = np.random.default_rng(0).integers(0, 4096, (20, 30, channels))
    grey = numbers[..., :3] @ np.array([0.299, 0.587, 0.114]) if channels > 2 else numbers[..., 0]
    path = tmp_path / "a.png"
    path.write_bytes(png(numbers, colours))
    found = read([path], ClassifyData()).inputs[0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, grey / 257, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pgm", b"P5 2 2 65535\n" + np.array([0, 4095, 1, 65535], ">u2").tobytes()),
        ("a.tiff", None),
    ],
)
def test_sixteen_bits_of_other_formats(tmp_path: Path, name: str, content: bytes | None) -> None:
    numbers = np.array([[0, 4095], [1, 65535]], np.uint16)
    path = tmp_path / name
    path.write_bytes(content) if content else save(path, numbers)
    np.testing.assert_allclose(read([path], ClassifyData()).inputs[0], numbers / 257, rtol=1e-6)


def test_a_greymap_of_twelve_bits_is_scaled_by_its_own_largest_number(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 3 1 4095\n" + np.array([0, 4095, 1000], ">u2").tobytes())
    np.testing.assert_allclose(read([path], ClassifyData()).inputs[0], [[0, 255, 1000 / 4095 * 255]], atol=2e-3)


def test_white_is_zero_in_some_tiff_files(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tiff", GREY.astype(np.uint16) * 257)
    content = bytearray(path.read_bytes())
    place = content.index(struct.pack("<HHI", 262, 3, 1))  # PhotometricInterpretation
    content[place + 8] = 0
    path.write_bytes(content)
    assert np.array_equal(read([path], ClassifyData()).inputs[0], 255 - GREY)


def test_sixteen_bits_of_colour_in_a_tiff_file_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tiff", np.repeat(GREY[:, :, None], 3, axis=2))
    content = bytearray(path.read_bytes())
    bits = struct.pack("<3H", 8, 8, 8)
    assert content.count(bits) == 1
    path.write_bytes(content.replace(bits, struct.pack("<3H", 16, 16, 16)))
    assert told(path) == (
        f"{path} has 16 bits per channel in colour; expected 8, or 16 in a PNG file or without colours. "
        "Convert it first."
    )


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tiff", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_exif_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    pixels = np.random.default_rng(0).integers(0, 255, (8, 16, 3), np.uint8)
    options = {".webp": {"lossless": True}, ".jpg": {"quality": 100}}.get(suffix, {})
    Image.fromarray(pixels).save(path, exif=exif, **options)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("L"))
    assert expected.shape == ((8, 16) if orientation < 5 else (16, 8))
    assert np.array_equal(read([path], ClassifyData()).inputs[0], expected)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "CMYK"])
def test_other_kinds_of_pixels_are_as_grey_as_pillow_makes_them(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.tiff"
    Image.fromarray(np.repeat(GREY[:, :, None], 3, axis=2)).convert(mode).save(path)
    with Image.open(path) as image:
        assert image.mode == mode
        expected = np.asarray(image.convert("L"))
    assert np.array_equal(read([path], ClassifyData()).inputs[0], expected)
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize("suffix", [".gif", ".tiff"])
def test_the_first_of_several_pictures_is_taken(tmp_path: Path, suffix: str) -> None:
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=[second])
    with pytest.warns(HoldfastWarning) as told:
        found = read([tmp_path / f"a{suffix}"], ClassifyData()).inputs[0]
    assert np.array_equal(found, GREY)
    assert [str(one.message) for one in told] == [
        f"{tmp_path}/a{suffix} holds several pictures, an animation or pages; the first is read."
    ]


def test_an_interlaced_image(tmp_path: Path) -> None:
    """Adam7 of an image of one pixel is that pixel: Pillow writes no interlaced files."""
    path = save(tmp_path / "a.png", GREY[1:2, 1:2])
    content = bytearray(path.read_bytes())
    content[28] = 1
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    assert np.array_equal(read([path], ClassifyData()).inputs[0], GREY[1:2, 1:2])


def test_an_image_that_unpacks_to_a_gigabyte_is_refused_before(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (13_000, 13_000)).save(path)
    assert told(path) == (
        f"{path} claims to be a huge image (13000x13000 pixels; at most 30,000,000 are read). Scale it down first."
    )


def test_a_jpeg_file_of_too_many_scans(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(GREY).save(path, progressive=True)
    content = path.read_bytes()
    last = content[content.rindex(b"\xff\xda") : -2]
    path.write_bytes(content[:-2] + last * 70 + content[-2:])
    assert told(path) == f"{path} has more than 64 scans. Save it again."
    path.write_bytes(content + b"\xff\xda\x00\x02" * 70)  # behind the image: a film, as telephones add
    assert len(read([path], ClassifyData())) == 1


def test_files_that_other_programs_would_have_to_open(tmp_path: Path) -> None:
    """Pillow would start Ghostscript for this one."""
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    assert told(path).startswith(f"{path} cannot be read as an image")


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
    assert told(path) == f"{path} has 32 bits per pixel; expected 8 or 16. Convert it first."

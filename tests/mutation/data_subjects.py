"""The readers of data, with valid files for each."""

from __future__ import annotations

import functools
import gzip
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
from PIL import Image
from tests.mutation.changes import in_gzip, in_ogg, in_png, in_zip, outside
from tests.mutation.subjects import Subject

from holdfast.data import readers
from holdfast.data.readers import documents, pairs, series, tagged, texts, transcripts, vectors
from holdfast.data.settings import AudioSettings
from holdfast.tasks.classify.settings import ClassifyData
from holdfast.tasks.forecast.settings import ForecastData
from holdfast.tasks.tag.settings import TagData

DRAW = np.random.default_rng(0)
GREY = DRAW.integers(0, 255, (12, 16)).astype(np.uint8)
AUDIO = AudioSettings(rate=8000, mel_bins=20)


def _read(path: Path, **settings: Any) -> Any:
    return readers.read([path], ClassifyData(audio=AUDIO, **settings))


def _content(content: bytes | str) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: [path.write_bytes(data) for path in [folder / "file"]]


def _file(name: str, ending: str, content: bytes | str, read: Callable[[Path], object], **more: Any) -> Subject:
    data = content.encode() if isinstance(content, str) else content
    return Subject(name, lambda folder: (folder / f"file{ending}").write_bytes(data), f"file{ending}", read, **more)


def images() -> list[Subject]:
    def image(name: str, ending: str, pixels: np.ndarray, mode: str | None = None, **more: Any) -> Subject:
        layers, options = more.pop("layers", (outside,)), more

        def make(folder: Path) -> None:
            picture = Image.fromarray(pixels)
            (picture.convert(mode) if mode else picture).save(folder / f"file{ending}", **options)

        return Subject(name, make, f"file{ending}", _read, layers=layers)

    exif = Image.Exif()
    exif[0x0112] = 6
    colours = np.repeat(GREY[:, :, None], 3, 2)
    in_chunks = (outside, in_png(b"IHDR"), in_png(b"IDAT"))
    idx = struct.pack(">4B3I", 0, 0, 8, 3, 4, 5, 6) + bytes(120)
    labels = struct.pack(">4BI", 0, 0, 8, 1, 4) + bytes(4)

    def both(folder: Path) -> None:
        (folder / "images-idx3.gz").write_bytes(gzip.compress(idx, mtime=0))
        (folder / "labels-idx1").write_bytes(labels)

    def read_both(path: Path) -> Any:
        return readers.read([path, path.with_name("labels-idx1")], ClassifyData())

    def npz(folder: Path) -> None:
        np.savez(folder / "file.npz", inputs=GREY[:, :, None], labels=np.arange(12) % 3, lengths=np.full(12, 9))

    def npy(folder: Path) -> None:
        np.save(folder / "file.npy", GREY)

    def packed(folder: Path) -> None:
        np.savez_compressed(folder / "file.npz", inputs=GREY.astype("f4"), labels=np.array(list("abcabcabcabc")))

    return [
        image("PNG", ".png", GREY, layers=in_chunks),
        image("PNG, 16 bits", ".png", GREY.astype(np.uint16) * 257, layers=in_chunks),
        image("PNG, palette", ".png", colours, "P", layers=(*in_chunks, in_png(b"PLTE"))),
        image("PNG, EXIF", ".png", colours, exif=exif, layers=(outside, in_png(b"eXIf"))),
        image("JPEG", ".jpg", colours),
        image("JPEG, progressive, EXIF", ".jpg", colours, exif=exif, progressive=True),
        image("BMP", ".bmp", colours),
        image("GIF", ".gif", colours, save_all=True, append_images=[Image.fromarray(255 - GREY)]),
        image("PGM", ".pgm", GREY),
        image("TIFF", ".tiff", GREY),
        image("TIFF, LZW", ".tiff", colours, compression="tiff_lzw", exif=exif),
        image("TIFF, 16 bits, deflate", ".tiff", GREY.astype(np.uint16) * 257, compression="tiff_adobe_deflate"),
        image("TIFF, JPEG", ".tif", colours, compression="jpeg"),
        image("WebP", ".webp", colours, lossless=True),
        image("WebP, lossy", ".webp", colours, exif=exif),
        Subject("IDX", both, "images-idx3.gz", read_both, ("images-idx3.gz", "labels-idx1"), (outside, _gzip_if)),
        Subject("NPZ", npz, "file.npz", _read, layers=(outside, in_zip(".npy"), in_zip("inputs.npy"))),
        Subject("NPY", npy, "file.npy", _read),
        Subject("NPZ, compressed", packed, "file.npz", _read, layers=(outside, in_zip(".npy"))),
    ]


def _gzip_if(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return in_gzip(data, change) if data[:2] == b"\x1f\x8b" else change(data)


def sound() -> list[Subject]:
    import soundfile

    noise = (0.1 * DRAW.standard_normal((4000, 1))).astype(np.float32)

    def recording(name: str, ending: str, channels: int = 1, **options: Any) -> Subject:
        layers = options.pop("layers", (outside,))

        def make(folder: Path) -> None:
            soundfile.write(folder / f"file{ending}", np.repeat(noise, channels, 1), 8000, **options)

        return Subject(name, make, f"file{ending}", _read, layers=layers)

    def table(folder: Path) -> None:
        soundfile.write(folder / "a.wav", noise[:2000], 8000)
        (folder / "file.csv").write_text("path,text\na.wav,one\na.wav,two\n")

    def listing(folder: Path) -> None:
        soundfile.write(folder / "a.wav", noise[:2000], 8000)
        (folder / "file.jsonl").write_text('{"path": "a.wav", "text": "one"}\n{"path": "a.wav", "text": "two"}\n')

    def beside(folder: Path) -> None:
        soundfile.write(folder / "a.wav", noise[:2000], 8000)
        (folder / "a.txt").write_text("what is said")

    def read(path: Path) -> Any:
        return transcripts.read([path], AUDIO)

    return [
        recording("WAV", ".wav"),
        recording("WAV, float", ".wav", 2, subtype="FLOAT"),
        recording("WAV, extensible", ".wav", 2, format="WAVEX", subtype="PCM_24"),
        recording("WAV, ADPCM", ".wav", subtype="IMA_ADPCM"),
        recording("WAV, MS ADPCM", ".wav", subtype="MS_ADPCM"),
        recording("WAV, GSM", ".wav", subtype="GSM610"),
        recording("RF64", ".wav", format="RF64"),
        recording("AIFF", ".aiff"),
        recording("AU", ".au", subtype="ULAW"),
        recording("FLAC", ".flac", 2),
        recording("OGG, Vorbis", ".ogg", layers=(outside, in_ogg)),
        recording("OGG, Opus", ".ogg", 2, subtype="OPUS", layers=(outside, in_ogg)),
        recording("MP3", ".mp3"),
        recording("MP3, constant", ".mp3", bitrate_mode="CONSTANT", compression_level=0.5),
        Subject("transcripts, CSV", table, "file.csv", read, ("file.csv", "file.csv", "a.wav")),
        Subject("transcripts, JSON lines", listing, "file.jsonl", read),
        Subject("transcripts, text beside", beside, "a.wav", read, ("a.txt",)),
    ]


LONG = "run,second,pressure,heat,state\n" + "".join(
    f"{'abcd'[row // 5]},{row % 5},{row / 7:.3f},{row * 3},{'good' if row < 10 else 'bad'}\n" for row in range(20)
)
WIDE = "t0,t1,t2,label\n" + "".join(f"{row},{row / 3:.2f},-{row},{'ab'[row % 2]}\n" for row in range(12))
TIMES = "time,load,heat\n" + "".join(
    f"2024-01-{1 + row // 24:02} {row % 24:02}:00,{row * 1.5},{row}\n" for row in range(60)
)
PANEL = "unique_id,ds,y,k,kind\n" + "".join(
    f"s{row % 3},2024-01-{1 + row // 3:02},{row * 1.5 if row < 36 else ''},{row % 2},{'ab'[row % 3 % 2]}\n"
    for row in range(42)
    if row != 10
)
TS = (
    "# made\n@problemName P\n@timeStamps false\n@univariate false\n@dimensions 2\n@equalLength false\n"
    "@classLabel true a e\n@data\n1.8,1.9,2.0:0.1,0.2,0.1:a\n0.7,0.6:1.1,1.3:e\n1.7,2.1:0.3,0.1:a\n"
)


def tables() -> list[Subject]:
    def parquet(content: str) -> Callable[[Path], object]:
        return lambda folder: polars.read_csv(content.encode()).write_parquet(folder / "file.parquet")

    def lists(folder: Path) -> None:
        frame = polars.DataFrame({"t0": [1.0, 2.0, 3.0], "t1": [1, None, 3], "label": [["a"], ["b", "c"], []]})
        frame.with_columns(t1=polars.col("t1").fill_null(0)).write_parquet(
            folder / "file.parquet", compression="snappy"
        )

    long = functools.partial(
        _read, id_column="run", time_column="second", label_column="state", feature_columns=["pressure", "heat"]
    )
    wide = functools.partial(_read, label_column="label")
    several = functools.partial(_read, label_column="label", label_separator="|")

    def forecast(path: Path) -> Any:
        return series.read([path], ForecastData(time_column="time", target_columns=["load"], calendar=["hour"]))

    def many(path: Path) -> object:
        columns = {"known_columns": ["k"], "static_columns": ["kind"], "missing": "previous"}
        return series.read([path], ForecastData.model_validate(columns))

    return [
        _file("CSV, one row per sequence", ".csv", WIDE, wide),
        _file("CSV, one row per step", ".csv", LONG, long),
        _file("CSV, gzipped", ".csv.gz", gzip.compress(LONG.encode(), mtime=0), long, layers=(outside, in_gzip)),
        _file("TSV", ".tsv", LONG.replace(",", "\t"), long),
        Subject("Parquet", parquet(LONG), "file.parquet", long),
        Subject("Parquet, wide", parquet(WIDE), "file.parquet", wide),
        Subject("Parquet, lists", lists, "file.parquet", several),
        _file("series, CSV", ".csv", TIMES, forecast),
        _file("many series, CSV", ".csv", PANEL, many),
        Subject("series, Parquet", parquet(TIMES), "file.parquet", forecast),
        _file("CSV, decimal commas", ".csv", WIDE.replace(",", ";").replace(".", ","), wide),
        _file("CSV, UTF-16", ".csv", WIDE.encode("utf-16"), wide),
        _file("UCR .ts", ".ts", TS, _read),
        _file("UCR .ts, gzipped", ".ts.gz", gzip.compress(TS.encode(), mtime=0), _read, layers=(outside, in_gzip)),
    ]


CONLLU = "# text = They buy books.\n" + "\n".join(
    f"{number}\t{word}\t{word}\t{tag}\t_\t_\t0\troot\t_\t_"
    for number, (word, tag) in enumerate([("They", "PRON"), ("buy", "VERB"), ("books", "NOUN"), (".", "PUNCT")], 1)
)
CONLLU += "\n\n" + CONLLU + "\n\n"
TAGGED = "They\tPRON\nbuy\tVERB\nbooks\tNOUN\n\nShe\tPRON\nsleeps\tVERB\n"
SENTENCES = "good film\nbad film\na film that is neither é\n" * 5


def text() -> list[Subject]:
    words = ClassifyData(unit="words", label_column="label")

    def of_texts(path: Path) -> Any:
        return texts.read([path], words)

    def folder_of(folder: Path) -> None:
        for label in ("for", "against"):
            (folder / "files" / label).mkdir(parents=True, exist_ok=True)
            (folder / "files" / label / "1.txt").write_text(SENTENCES)

    def archive(folder: Path) -> None:
        with zipfile.ZipFile(folder / "file.zip", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("names/de.txt", SENTENCES)
            file.writestr("names/fr.txt", SENTENCES)

    def rows(folder: Path) -> None:
        frame = polars.DataFrame({"text": ["good", "bad"], "label": ["a", "b"]})
        frame.write_parquet(folder / "file.parquet")

    def both(folder: Path) -> None:
        (folder / "a.en").write_text("one\ntwo\nthree\n")
        (folder / "a.de").write_text("eins\nzwei\ndrei\n")

    lines = "".join(
        json.dumps({"text": f"film {n}", "label": "ab"[n % 2], "more": [n, {"a": n}]}) + "\n" for n in range(9)
    )
    glove = "".join(f"word{n} " + " ".join(f"{n / 7 + k:.4f}" for k in range(8)) + "\n" for n in range(10))
    tags = functools.partial(tagged.read, settings=TagData())

    def one(read: Callable[..., Any]) -> Callable[[Path], Any]:
        return lambda path: read([path])

    return [
        Subject("texts, folder", folder_of, "files", of_texts, ("files/for/1.txt",)),
        Subject("texts, ZIP", archive, "file.zip", of_texts, layers=(outside, in_zip(".txt"))),
        _file("texts, one text per line", ".txt", SENTENCES, of_texts),
        _file("texts, CSV", ".csv", "text,label\n" + "a film,good\nno film,bad\n" * 5, of_texts),
        _file("texts, JSON lines", ".jsonl", lines, of_texts),
        Subject("texts, Parquet", rows, "file.parquet", of_texts),
        _file("CoNLL-U", ".conllu", CONLLU, one(tags)),
        _file("CoNLL-U, gzipped", ".conllu.gz", gzip.compress(CONLLU.encode()), one(tags), layers=(outside, in_gzip)),
        _file("two columns", ".txt", TAGGED, one(tags)),
        _file(
            "columns apart by blanks", ".txt", "-DOCSTART- O\n\nEU NNP B-ORG\nis VBZ O\n\nAda NNP B-PER\n", one(tags)
        ),
        _file("labels in the lines", ".ft", "__label__a one two\n__label__b three\n" * 5, of_texts),
        _file("plain sentences", ".txt", SENTENCES, one(tags)),
        _file("pairs", ".tsv", "one\teins\ntwo\tzwei\n" * 4, one(pairs.read)),
        Subject("pairs, two files", both, "a.en", lambda p: pairs.read([p, p.with_suffix(".de")], parallel=True)),
        _file("documents", ".txt", SENTENCES, one(documents.whole)),
        _file("documents, gzipped", ".txt.gz", gzip.compress(SENTENCES.encode()), one(documents.lines)),
        _file("word vectors", ".txt", glove, lambda path: vectors.read(path, ["word1", "word9"])),
        _file(
            "word vectors, gzipped",
            ".txt.gz",
            gzip.compress(glove.encode()),
            lambda path: vectors.read(path, ["word1"]),
        ),
    ]


GROUPS = {"images": images, "sound": sound, "tables": tables, "texts": text}

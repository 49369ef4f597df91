"""Recordings with transcripts: tables, text files beside them, and each way to be of no use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from holdfast.data.readers import transcripts
from holdfast.data.readers.audio import energies
from holdfast.data.settings import AudioSettings
from holdfast.errors import DataError, MissingDataError
from tones import RATE, save, tone

pytest.importorskip("kaldi_native_fbank", reason="needs kaldi-native-fbank: pip install 'holdfast[audio]'")
pytest.importorskip("soundfile", reason="needs soundfile: pip install 'holdfast[audio]'")
AUDIO = AudioSettings(rate=RATE, mel_bins=20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "clips/a.wav", tone(300))
    save(tmp_path / "clips/b.flac", tone(900, 0.4))
    return tmp_path


def told(*paths: Path) -> str:
    with pytest.raises(DataError) as error:
        transcripts.read(paths, AUDIO)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", 'path,text,who\nclips/a.wav,"low, yes",me\nclips/b.flac,"say ""high""",me\n'),
        ("t.tsv", 'text\tpath\nlow, yes\tclips/a.wav\nsay "high"\tclips/b.flac\n'),
        (
            "t.jsonl",
            '{"path": "clips/a.wav", "text": "low, yes"}\n{"path": "clips/b.flac", "text": "say \\"high\\""}\n',
        ),
    ],
)
def test_a_table_names_recordings_beside_it(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    found = transcripts.read([folder / name], AUDIO)
    assert found.targets == ["low, yes", 'say "high"']
    assert found.origins == [str(folder / "clips/a.wav"), str(folder / "clips/b.flac")]
    for steps, origin in zip(found.inputs, found.origins, strict=True):
        assert np.array_equal(steps, energies(Path(origin), AUDIO))


def test_texts_may_look_like_numbers_and_be_missing_altogether(folder: Path) -> None:
    (folder / "t.csv").write_text("path,text\nclips/a.wav,007\n")
    assert transcripts.read([folder / "t.csv"], AUDIO).targets == ["007"]
    (folder / "bare.csv").write_text("path\nclips/a.wav\n")
    assert transcripts.read([folder / "bare.csv"], AUDIO).targets is None


def test_text_files_beside_recordings(folder: Path) -> None:
    (folder / "clips/a.txt").write_text("low\n")
    (folder / "clips/b.txt").write_text("very\nhigh")
    assert transcripts.read([folder / "clips"], AUDIO).targets == ["low", "very\nhigh"]
    assert transcripts.read([folder / "clips/b.flac"], AUDIO).targets == ["very\nhigh"]


def test_recordings_alone_have_no_transcripts(folder: Path) -> None:
    found = transcripts.read([folder / "clips", folder / "clips/a.wav"], AUDIO)
    assert found.targets is None
    assert len(found) == 3


def test_all_or_none_have_a_transcript(folder: Path) -> None:
    (folder / "clips/a.txt").write_text("low")
    assert told(folder / "clips") == (
        f"{folder}/clips/b.flac has no transcript, and other recordings have one; expected all or none. Write the text "
        "to b.txt beside it, or leave the recording out."
    )


def test_what_cannot_be_read_is_named(folder: Path) -> None:
    table = folder / "t.csv"
    table.write_text("file,text\nclips/a.wav,low\n")
    assert told(table) == f"{table} has no column 'path'; known are file, text."
    table.write_text("path,text\nclips/a.wav,low\nclips/b.flac,\n")
    assert told(table) == f"{table}, line 3: there is an empty text; fill it in or leave the row out."
    table.write_text("path,text\n,low\n")
    assert told(table) == f"{table}, line 2: there is an empty path; fill it in or leave the row out."
    table.write_text("path,text\nclips/c.wav,low\n")
    assert told(table) == f"There is no recording {folder}/clips/c.wav. Check the path."
    table.write_text("")
    assert told(table) == f"{table} is empty; expected one line with the names of the columns, and one line per row."
    (folder / "none").mkdir()
    assert told(folder / "none") == (
        f"{folder}/none holds no recordings (.wav, .flac, .ogg, .mp3, .aiff, .aif, .au); expected recordings "
        "directly in it."
    )
    (folder / "x.doc").write_text("")
    assert told(folder / "x.doc") == (
        f"{folder}/x.doc is neither a recording (.wav, .flac, .ogg, .mp3, .aiff, .aif, .au), nor a table of paths "
        "and texts (.csv, .tsv, "
        ".jsonl), nor a folder."
    )
    (folder / "clips/a.txt").write_bytes(b"caf\xe9")
    assert told(folder / "clips/a.wav") == (
        f"{folder}/clips/a.txt is not text in UTF-8 (unexpected end of data at byte 3). Convert it."
    )
    with pytest.raises(MissingDataError, match=r"There is no file or folder .*/gone\. Check the path; relative"):
        transcripts.read([folder / "gone"], AUDIO)


def test_the_text_beside_a_recording_is_part_of_what_is_read(folder: Path) -> None:
    sound = folder / "clips" / "a.wav"
    before = transcripts.in_pieces([sound], AUDIO).identity()
    sound.with_suffix(".txt").write_text("something else")
    assert transcripts.in_pieces([sound], AUDIO).identity() != before

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from holdfast.data import Encoder, Examples, load, read, split
from holdfast.data.sets.download import RemoteFile
from holdfast.data.sets.published import PUBLISHED, Published
from holdfast.errors import DataError, MissingDataError, RecipeError
from holdfast.tasks.classify.settings import ClassifyData


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data folder from the environment, an empty cache, and no network."""
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    monkeypatch.setattr("holdfast.data.sets.download.cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr("urllib.request.urlopen", _refuse)


def _refuse(*args: object, **kwargs: object) -> None:
    raise ConnectionRefusedError("no network in this test")


def labelled(labels: list[str]) -> Examples:
    return Examples(np.arange(float(len(labels))).reshape(-1, 1, 1), labels, [f"x[{i}]" for i in range(len(labels))])


def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClassifyData:
    """A published data set of two small files, which nobody serves."""
    site = "https://example.org/toy/"
    files = {name: RemoteFile(name, "0" * 64, (site + name,)) for name in ("toy_TRAIN.ts", "toy_TEST.ts")}
    known = Published("sequences", "Toy", (files["toy_TRAIN.ts"],), (files["toy_TEST.ts"],))
    monkeypatch.setitem(PUBLISHED, "toy", known)
    return ClassifyData(source="toy", validation=0)


def write_toy(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("toy_TRAIN.ts", "toy_TEST.ts"):
        (folder / name).write_text("@classLabel true\n@data\n" + "1,2:a\n3,4:b\n" * 3)


def test_digits_are_split_once_and_for_all() -> None:
    first, second = (load(ClassifyData(source="digits"), None, seed) for seed in (0, 1))
    assert (len(first.train), len(first.validation or []), len(first.test)) == (1293, 144, 360)
    assert first.test.origins == second.test.origins
    assert first.train.origins != second.train.origins
    listed = hashlib.sha256(" ".join(first.test.origins).encode()).hexdigest()
    assert listed.startswith("c217651a5004e9be")
    counts = Counter(first.test.labels or [])
    assert sorted(counts) == list("0123456789")
    assert max(counts.values()) - min(counts.values()) <= 3
    assert isinstance(first.train.inputs, np.ndarray)
    assert (first.train.inputs.dtype, first.train.inputs.min(), first.train.inputs.max()) == (np.uint8, 0, 255)


def test_a_digit_saved_as_an_image_reads_the_same(tmp_path: Path) -> None:
    test = load(ClassifyData(source="digits"), None, 0).test
    Image.fromarray(test.inputs[5]).save(tmp_path / "x.png")
    assert np.array_equal(read([tmp_path / "x.png"], ClassifyData(source="digits")).inputs[0], test.inputs[5])


def test_every_sequence_is_in_one_split() -> None:
    splits = load(ClassifyData(source="digits", layout="columns"), None, 3)
    assert splits.validation is not None
    origins = [*splits.train.origins, *splits.validation.origins, *splits.test.origins]
    assert sorted(origins) == sorted(f"digits[{index}]" for index in range(1797))


def test_limit_keeps_the_first_of_train_and_test() -> None:
    whole = load(ClassifyData(source="digits", validation=0), None, 0)
    few = load(ClassifyData(source="digits", validation=0, limit=50), None, 0)
    assert few.train.origins == whole.train.origins[:50]
    assert few.test.origins == whole.test.origins[:50]
    held = load(ClassifyData(source="digits", validation=0.1, limit=50), None, 0)
    assert (len(held.train), len(held.validation or []), len(held.test)) == (45, 5, 50)


@pytest.mark.parametrize("folder", ["mine", "mine/Toy", "cache/Toy"])
def test_published_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    settings = toy(tmp_path, monkeypatch)
    (tmp_path / "mine").mkdir()
    write_toy(tmp_path / folder)
    splits = load(settings, tmp_path / "mine", 0)
    assert splits.train.origins[0] == f"{tmp_path / folder}/toy_TRAIN.ts[0]"
    assert (len(splits.train), splits.validation, len(splits.test)) == (6, None, 6)


def test_the_environment_names_the_folder_and_the_argument_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = toy(tmp_path, monkeypatch)
    for name in ("one", "two"):
        write_toy(tmp_path / name)
    monkeypatch.setenv("HOLDFAST_DATA", str(tmp_path / "one"))
    assert load(settings, None, 0).train.origins[0].startswith(str(tmp_path / "one"))
    assert load(settings, tmp_path / "two", 0).train.origins[0].startswith(str(tmp_path / "two"))


def test_offline_names_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = toy(tmp_path, monkeypatch)
    with pytest.raises(MissingDataError) as error:
        load(settings, tmp_path, 0)
    assert str(error.value) == (
        f"Missing data: toy_TRAIN.ts, toy_TEST.ts. Looked in {tmp_path}, {tmp_path}/Toy, {tmp_path}/cache/Toy; "
        "download failed: https://example.org/toy/toy_TRAIN.ts: no network in this test. "
        f"Get the files from https://example.org/toy/ and put them in {tmp_path}/cache/Toy, "
        "or in any folder named by --data-dir or the environment variable HOLDFAST_DATA."
    )


def test_a_data_folder_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = toy(tmp_path, monkeypatch)
    with pytest.raises(MissingDataError) as error:
        load(settings, tmp_path / "no", 0)
    assert str(error.value) == (
        f"--data-dir is {tmp_path}/no, which is not a folder; expected the folder that holds the data files."
    )
    monkeypatch.setenv("HOLDFAST_DATA", str(tmp_path / "no"))
    with pytest.raises(MissingDataError, match=r"^HOLDFAST_DATA is "):
        load(settings, None, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ClassifyData(source="mnits"),
            "data.source is 'mnits'; did you mean 'mnist'? Known: digits, files, japanese-vowels, mnist, "
            "sentence-polarity, spoken-digits, surnames.",
        ),
        (
            ClassifyData(source="files"),
            'data.source is "files" but data.train names none; expected files or folders to train on, '
            "or one of the known sets as data.source: digits, spoken-digits, mnist, japanese-vowels, surnames, "
            "sentence-polarity.",
        ),
        (
            ClassifyData(source="digits", train=["a.csv"]),
            "data.source is 'digits', which has its own files, but data.train or data.test names others; "
            'set data.source = "files" to use them.',
        ),
    ],
)
def test_sources_that_do_not_fit(settings: ClassifyData, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        load(settings, None, 0)
    assert str(error.value) == message


def test_own_files_in_the_data_folder_or_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    (tmp_path / "there/train.csv").write_text("x,label\n1,a\n2,b\n3,a\n4,b\n")
    (tmp_path / "here/test.csv").write_text("x,label\n5,a\n")
    monkeypatch.chdir(tmp_path / "here")
    settings = ClassifyData(train=["train.csv"], test=["test.csv"], validation=0.5)
    splits = load(settings, tmp_path / "there", 0)
    assert splits.validation is not None
    assert sorted(splits.train.labels or []) == sorted(splits.validation.labels or []) == ["a", "b"]
    assert splits.test.origins == [f"{tmp_path}/here/test.csv[0]"]
    with pytest.raises(MissingDataError) as error:
        load(settings, None, 0)
    assert str(error.value) == (
        f"Missing data: train.csv. Looked in {tmp_path}/here. Put the files there, "
        "or name their folder by --data-dir or the environment variable HOLDFAST_DATA."
    )


def test_without_test_files_a_fraction_is_held_out(tmp_path: Path) -> None:
    rows = "".join(f"{index},{'ab'[index % 2]}\n" for index in range(40))
    (tmp_path / "train.csv").write_text("x,label\n" + rows)
    settings = ClassifyData(train=["train.csv"], test_fraction=0.25)
    splits = load(settings.model_copy(update={"validation": 0.1}), tmp_path, 0)
    assert (len(splits.train), len(splits.validation or []), len(splits.test)) == (27, 3, 10)
    splits = load(settings, tmp_path, 0)
    assert (len(splits.train), splits.validation, len(splits.test)) == (
        30,
        None,
        10,
    )  # 3 are too few
    assert Counter(splits.test.labels or []) == {"a": 5, "b": 5}
    assert load(settings, tmp_path, 0).test.origins == splits.test.origins
    assert load(settings, tmp_path, 1).test.origins != splits.test.origins


def test_a_split_is_stratified_and_keeps_the_order() -> None:
    kept, held = split(labelled(["a"] * 80 + ["b"] * 20), 0.1, seed=0)
    assert Counter(held.labels or []) == {"a": 8, "b": 2}
    places = [int(origin[2:-1]) for origin in kept.origins]
    assert places == sorted(places)


def test_rare_labels_stay_with_training() -> None:
    for seed in range(10):
        kept, held = split(labelled(["a"] * 9 + ["b", "c", "c"]), 0.25, seed)
        assert set(kept.labels or []) == {"a", "b", "c"}
        assert len(held) == 3


def test_too_few_to_split() -> None:
    with pytest.raises(DataError) as error:
        split(labelled(["a", "b", "c"]), 0.1, 0)
    assert str(error.value) == (
        "3 sequences of 3 labels are too few to hold out 0.1 of them (1) and keep one of each label. "
        "Add data, or lower data.validation or data.test_fraction."
    )


def test_sequences_without_labels_can_be_split() -> None:
    kept, held = split(Examples(np.zeros((10, 2, 1)), None, list("abcdefghij")), 0.2, 0)
    assert (len(kept), len(held), held.labels) == (8, 2, None)


def test_splitting_leaves_the_global_random_state_alone() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[union-attr]
    split(labelled(["a", "b"] * 20), 0.2, 0)
    assert np.array_equal(np.random.get_state()[1], before)  # type: ignore[arg-type]


def test_mnist(real_data: Callable[[str], Path]) -> None:
    settings = ClassifyData(source="mnist", scaling="unit")
    splits = load(settings, real_data("mnist"), 0)
    assert (len(splits.train), len(splits.validation or []), len(splits.test)) == (54_000, 6_000, 10_000)
    assert (splits.test.labels or [])[:5] == ["7", "2", "1", "0", "4"]
    encoder = Encoder.fit(splits.train, settings)
    assert (encoder.labels.classes, encoder.channels) == (list("0123456789"), 28)


def test_japanese_vowels(real_data: Callable[[str], Path]) -> None:
    settings = ClassifyData(source="japanese-vowels", scaling="standard", validation=0.1)
    splits = load(settings, real_data("JapaneseVowels").parent, 0)
    assert (len(splits.train), len(splits.validation or []), len(splits.test)) == (243, 27, 370)
    assert Counter(splits.validation.labels if splits.validation else []) == dict.fromkeys("123456789", 3)
    assert Encoder.fit(splits.train, settings).channels == 12


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_checksums_are_those_of_the_real_files(name: str, real_data: Callable[[str], Path]) -> None:
    known = PUBLISHED[name]
    for file in (*known.train, *known.test):
        place = real_data(known.folder) / file.name
        zipped = place.with_name(f"{file.name}.gz")  # where a large file lies smaller than it is published
        content = place.read_bytes() if place.exists() else gzip.decompress(zipped.read_bytes())
        assert hashlib.sha256(content).hexdigest() == file.sha256


def test_unpacked_files_are_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toy(tmp_path / "mine")
    files = [RemoteFile(f"{name}.gz", "0" * 64, ("https://example.org/",)) for name in ("toy_TRAIN.ts", "toy_TEST.ts")]
    monkeypatch.setitem(PUBLISHED, "packed", Published("sequences", "Toy", (files[0],), (files[1],)))
    splits = load(ClassifyData(source="packed"), tmp_path / "mine", 0)
    assert splits.test.origins[0] == f"{tmp_path}/mine/toy_TEST.ts[0]"


def test_files_that_were_gzipped_are_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toy(tmp_path / "mine")
    for path in list((tmp_path / "mine").iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    files = [RemoteFile(name, "0" * 64, ("https://example.org/",)) for name in ("toy_TRAIN.ts", "toy_TEST.ts")]
    monkeypatch.setitem(PUBLISHED, "plain", Published("sequences", "Toy", (files[0],), (files[1],)))
    splits = load(ClassifyData(source="plain"), tmp_path / "mine", 0)
    assert splits.test.origins[0] == f"{tmp_path}/mine/toy_TEST.ts.gz[0]"

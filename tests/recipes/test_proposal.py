"""A recipe for files that nobody has described."""

import numpy as np
import pytest

from command_line import call
from holdfast import experiment, recipes
from holdfast.errors import DataError
from holdfast.recipes.proposal import propose

TS = "@problemName toy\n@timeStamps false\n@univariate true\n@classLabel true a b\n@data\n"
CLASSES = TS + "".join(f"{k},{k + 1},{k + 2}:{'ab'[k % 2]}\n" for k in range(40))
NUMBERS = TS.replace("@classLabel true a b", "@targetLabel true") + "".join(
    f"{k},{k + 1},2:{k / 7}\n" for k in range(40)
)


def table(*lines):
    return "\n".join(lines) + "\n"


WIDE = table("a,b,label", *(f"{k},{k * k % 7},{'xy'[k % 2]}" for k in range(40)))
WIDE_NUMBER = table("a,b,target", *(f"{k},{k * k % 7},{k / 3}" for k in range(60)))
LONG = table("trial,step,x,activity", *(f"{k},{t},{k + t},{'ab'[k % 2]}" for k in range(40) for t in range(3)))
SERIES = table("date,sales,price", *(f"{2000 + k // 12}-{k % 12 + 1:02}-01,{k},{k % 5}" for k in range(200)))
PROPHET = table("ds,y", *(f"{2000 + k // 12}-{k % 12 + 1:02}-01,{k}" for k in range(200)))
NIXTLA = table(
    "unique_id,ds,y,price", *(f"{s},{2000 + k // 12}-{k % 12 + 1:02}-01,{k},{k % 5}" for s in "ab" for k in range(200))
)
GAPS = SERIES.replace(",7,2", ",?,2")
TEXTS = table("text,label", *(f"this is text number {k},{'good' if k % 2 else 'bad'}" for k in range(60)))
TAGGED = "\n".join("the DT\ncat NN\nsat VBD\n" for _ in range(40))
PAIRS = "".join(f"this is {k}\tdies ist {k}\n" for k in range(60))


@pytest.mark.parametrize(
    ("name", "content", "task", "data"),
    [
        ("toy_TRAIN.ts", CLASSES, "classify", {"scaling": "standard"}),
        ("wide.csv", WIDE, "classify", {"label_column": "label"}),
        ("long.csv", LONG, "classify", {"id_column": "trial", "time_column": "step", "label_column": "activity"}),
        ("series.csv", SERIES, "forecast", {"time_column": "date", "target_columns": ["sales", "price"]}),
        ("prophet.csv", PROPHET, "forecast", {"time_column": "ds", "target_columns": ["y"]}),
        (
            "nixtla.csv",
            NIXTLA,
            "forecast",
            {"id_column": "unique_id", "target_columns": ["y"], "past_columns": ["price"]},
        ),
        ("gaps.csv", GAPS, "forecast", {"missing": "interpolate"}),
        ("reviews.csv", TEXTS, "classify", {"unit": "words", "text_column": "text", "label_column": "label"}),
        ("words.txt", TAGGED, "tag", {}),
        ("pairs.txt", PAIRS, "translate", {}),
        ("story.txt", "Once upon a time, there was a long and winding road.\n" * 200, "generate", {}),
        (
            "mail.txt",
            "".join(f"__label__{'ab'[k % 2]} some text {k}\n" for k in range(60)),
            "classify",
            {"unit": "words"},
        ),
    ],
)
def test_the_task_and_the_columns_are_found_and_the_recipe_reads_the_files(name, content, task, data, tmp_path):
    path = tmp_path / name
    path.write_text(content)
    proposal = propose([path])
    assert proposal.task == task
    (tmp_path / "recipe.toml").write_text(proposal.text)
    recipe = recipes.load(str(tmp_path / "recipe.toml"))
    assert recipe.data.train == [str(path)]
    assert ("windows to train on" in proposal.found) == ("# horizon = 12 #" in proposal.text) == (task == "forecast")
    for key, value in data.items():
        assert getattr(recipe.data, key) == value


def test_files_of_a_test_are_told_by_their_names(tmp_path):
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"Toy_{part}.ts").write_text(CLASSES)
    proposal = propose([tmp_path / "Toy_TEST.ts", tmp_path / "Toy_TRAIN.ts"])
    assert proposal.name == "toy"
    (tmp_path / "recipe.toml").write_text(proposal.text)
    data = recipes.load(str(tmp_path / "recipe.toml")).data
    assert (data.train, data.test) == ([str(tmp_path / "Toy_TRAIN.ts")], [str(tmp_path / "Toy_TEST.ts")])
    (tmp_path / "attested.ts").write_text(CLASSES)
    assert "Toy_TRAIN" not in propose([tmp_path / "attested.ts"]).text


def test_folders_of_images_and_files_of_short_lines(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for label in "ab":
        (tmp_path / "images" / label).mkdir(parents=True)
        for k in range(20):
            image.fromarray(np.full((4, 4), k, np.uint8)).save(tmp_path / "images" / label / f"{k}.png")
        (tmp_path / f"{label}.txt").write_text("".join(f"name{k}\n" for k in range(40)))
    assert "unit" in propose([tmp_path / "images"]).text
    assert 'unit = "characters"' in propose([tmp_path / "a.txt", tmp_path / "b.txt"]).text


def test_a_task_that_is_given_keeps_the_settings_that_fit(tmp_path):
    (tmp_path / "series.csv").write_text(SERIES)
    proposal = propose([tmp_path / "series.csv"], "forecast")
    assert proposal.reason == "you said so"
    assert 'time_column = "date"' in proposal.text
    with pytest.raises(
        DataError, match=r"look like the task 'transcribe', because you said so, but cannot be read for it"
    ):
        propose([tmp_path / "series.csv"], "transcribe")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", "", "holds no text"),
        ("binary.bin", "\0\1\2", "it is not text"),
        ("one.png", "", "a single file without a label"),
        ("texts.csv", table("text", *(f"some words {k} here" for k in range(9))), "no column holds labels"),
        ("names.csv", table("first,second", *(f"w{k % 3},v{k % 2}" for k in range(9))), "fit no task"),
    ],
)
def test_what_fits_no_task_is_an_error_with_a_next_step(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        propose([tmp_path / name])


def test_the_command_writes_a_recipe_that_trains_and_keeps_an_existing_one(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.ts").write_text(CLASSES)
    code, out, err = call(capsys, "new", "toy.ts")
    assert code == 0
    assert out.startswith("toy.toml: task classify, because @classLabel says labels; ")
    assert "2 labels (a, b)" in out
    assert "holdfast train toy.toml" in err
    quick = ["train.epochs=1", "model.hidden_size=4", "train.threads=1"]
    assert experiment.train(recipes.load("toy.toml", quick), tmp_path / "run").results
    code, _, err = call(capsys, "new", "toy.ts")
    assert code == 2
    assert "toy.toml exists" in err
    assert call(capsys, "new", "toy.ts", "--force")[0] == 0
    code, _, err = call(capsys, "new", "toy.ts", "--task", "clasify")
    assert code == 2
    assert "did you mean 'classify'" in err

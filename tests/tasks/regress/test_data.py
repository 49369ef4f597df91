"""What has a target: each sequence or each step, as the files show or the recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast import recipes
from holdfast.errors import DataError, RecipeError
from holdfast.predictor import Predictor
from holdfast.tasks import RegressTask, model_file
from holdfast.tasks.regress.data import load
from holdfast.tasks.regress.settings import RegressData

LONG = {"train": ["a.csv"], "id_column": "id", "validation": 0.0, "test_fraction": 0.5}


def table(folder: Path, rows: list[str], name: str = "a.csv", head: str = "id,x,label") -> None:
    (folder / name).write_text("\n".join([head, *rows, ""]), "utf-8")


def train(folder: Path, **data: Any) -> Any:
    return load(RegressData.model_validate(data), folder, 0).train


def test_a_target_that_is_the_same_in_all_rows_of_an_id_is_the_sequences(tmp_path: Path) -> None:
    table(tmp_path, ["a,1,5", "a,2,5", "b,3,7", "b,4,7"])
    kept = train(tmp_path, **LONG)
    assert not kept.per_step
    assert kept.targets in ([5.0], [7.0])
    assert train(tmp_path, **LONG, per="step").per_step
    table(tmp_path, ["a,1,5", "a,2,5", "b,3,7", "b,4,8"])
    assert train(tmp_path, **LONG).per_step
    with pytest.raises(DataError, match=r"\[id=b\] has the targets 7.0, 8.0; expected one in all of its rows.$"):
        train(tmp_path, **LONG, per="sequence")


def test_one_part_whose_targets_change_decides_for_all(tmp_path: Path) -> None:
    table(tmp_path, ["a,1,5", "a,2,5", "b,3,7", "b,4,7"])
    table(tmp_path, ["c,1,5", "c,2,6"], "b.csv")
    splits = load(RegressData.model_validate({**LONG, "test": ["b.csv"]}), tmp_path, 0)
    assert (splits.train.per_step, splits.test.per_step) == (True, True)


def test_a_target_at_some_steps_only_is_the_steps(tmp_path: Path) -> None:
    table(tmp_path, ["a,1,", "a,2,5", "b,3,", "b,4,7"])
    kept = train(tmp_path, **LONG)
    assert kept.per_step
    assert np.isnan(kept.targets[0]).tolist() == [True, False]


def test_several_columns_and_arrays(tmp_path: Path) -> None:
    table(tmp_path, ["a,1,5,2", "a,2,5,2", "b,3,7,3", "b,4,7,3"], head="id,x,u,v")
    kept = train(tmp_path, **LONG, target_columns=["v", "u"])
    assert [target.tolist() for target in kept.targets] in ([[2, 5]], [[3, 7]])
    np.savez(tmp_path / "a.npz", X=np.zeros((4, 3, 2)), y=np.arange(24.0).reshape(4, 3, 2))
    kept = train(tmp_path, train=["a.npz"], validation=0.0)
    assert (kept.per_step, np.shape(kept.targets)) == (True, (3, 3, 2))


def test_one_sequence_cannot_be_split(tmp_path: Path) -> None:
    table(tmp_path, ["1,2", "2,3", "3,4"], head="t,label")
    with pytest.raises(DataError) as error:
        train(tmp_path, train=["a.csv"], per="step")
    assert str(error.value) == (
        "1 sequences are too few to hold out 0.2 of them (1) and keep one. Add data, or lower data.validation or "
        "data.test_fraction."
    )


def test_a_known_set_of_labels_is_not_one_of_numbers() -> None:
    with pytest.raises(RecipeError, match=r"^data.source is 'digits'; "):
        train(Path(), source="digits")


def test_a_known_set(real_data: Any) -> None:
    folder = real_data("ucr")
    splits = load(RegressData(source="covid3month", validation=0.0), folder, 0)
    assert (len(splits.train), len(splits.test)) == (140, 61)
    assert splits.train.inputs.shape == (140, 84, 1)
    assert splits.train.targets[1] == 0.07758620689655173


def test_a_model_reads_further_files_as_it_was_trained(tmp_path: Path) -> None:
    """Also a file whose targets do not show what has them, or that has none, or columns in another order."""
    table(tmp_path, ["a,1,2,5", "a,2,1,6", "b,3,2,7", "b,4,5,8", "c,4,5,8", "d,4,5,8"], head="id,x,z,label")
    (tmp_path / "r.toml").write_text(
        'name = "r"\ntask = "regress"\n[data]\ntrain = ["a.csv"]\nid_column = "id"\nvalidation = 0.0\n'
        "[model]\nhidden_size = 3\n"
    )
    recipe = recipes.load(str(tmp_path / "r.toml"))
    of = RegressTask.fit(recipe, RegressTask.load(recipe, tmp_path).train)
    model_file.save(tmp_path / "m.safetensors", of, of.build())
    predictor = Predictor(tmp_path / "m.safetensors")
    table(tmp_path, ["7,3,2,q", "7,4,1,q"], "b.csv", head="label,z,x,id")
    examples = predictor.read([tmp_path / "b.csv"])
    assert (examples.per_step, examples.targets[0].tolist()) == (True, [7, 7])
    [answer] = predictor.predict([tmp_path / "b.csv"])
    table(tmp_path, ["2,q,3", "1,q,4"], "c.csv", head="x,id,z")
    [same] = predictor.predict([tmp_path / "c.csv"])
    assert (answer["values"], len(answer["values"]["target"])) == (same["values"], 2)
    [memory] = predictor.predict_values([[[2, 3], [1, 4]]])
    assert memory["values"]["target"] == pytest.approx(answer["values"]["target"])

"""Parts of your own as arguments of estimators: the class or the function itself."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

import holdfast
from holdfast import register
from holdfast.errors import ModelFileError, OptionError
from own_parts import LastTwo, MinGRU, focal

X = np.random.default_rng(0).normal(size=(30, 6, 2)).astype(np.float32)
Y = X[:, :, 0].sum(1) > 0


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch):
    monkeypatch.setattr(register, "_PARTS", {kind: {} for kind in register._PARTS})


def share_of_true(scores, targets):
    return (scores.argmax(-1) == 1).float().mean()


def classifier():
    parts = {"cell": MinGRU, "head": LastTwo, "loss": focal, "metrics": [share_of_true]}
    return holdfast.SequenceClassifier(**parts, hidden_size=4, epochs=2, threads=1)


def test_classes_and_functions_are_taken_as_they_are():
    made = classifier()
    assert made.get_params()["cell"] is MinGRU
    assert clone(made).get_params() == made.get_params()
    made.fit(X, Y)
    assert isinstance(made.model_.recurrent.cells[0], MinGRU)
    assert isinstance(made.model_.own_head, LastTwo)
    assert "share_of_true" in made.history_[0]["train"]


def test_a_pickle_brings_its_parts_along_and_a_saved_file_asks_for_them(tmp_path):
    made = classifier().fit(X, Y)
    made.save(tmp_path / "model.safetensors")
    content = pickle.dumps(made)
    for parts in register._PARTS.values():
        parts.clear()
    with pytest.raises(ModelFileError, match="needs the cell 'MinGRU' and the head 'LastTwo' and the loss 'focal'"):
        holdfast.load(tmp_path / "model.safetensors")
    assert (pickle.loads(content).predict_proba(X) == made.predict_proba(X)).all()
    assert (holdfast.load(tmp_path / "model.safetensors").predict_proba(X) == made.predict_proba(X)).all()


def test_a_name_that_nothing_has_is_an_error_about_the_argument():
    with pytest.raises(OptionError, match="cell is 'mingru': there is no cell 'mingru'"):
        holdfast.SequenceClassifier(cell="mingru").fit(X, Y)

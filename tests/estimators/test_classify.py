"""SequenceClassifier and TextClassifier: scikit-learn's own checks, and the same bits as the command line."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tests.estimators.scikit_learn_checks import checks_of, run

import holdfast
from holdfast import SequenceClassifier, TextClassifier, experiment, recipes
from holdfast.errors import DataError, DataTypeError, ModelFileError, OptionError
from holdfast.estimators import Estimator
from holdfast.files import storage
from holdfast.predictor import Predictor
from holdfast.training import Listener

SMALL: dict[str, Any] = {"hidden_size": 8, "epochs": 2, "threads": 1, "batch_size": 16}
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "weighted and repeated examples are summed in another order, and float32 rounds: 2e-7 apart after 20 epochs "
        "(test_weights_are_repetitions has the tolerance of float32)"
    ),
    "check_methods_subset_invariance": (
        "float32: the kernels of some processors sum a batch of one in another order, 2e-7 apart where the check "
        "allows 1e-7 (test_unequal_lengths_and_missing_values compares the two within 1e-6)"
    ),
}


def sequences(count: int = 60, steps: int = 9, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(seed).normal(size=(count, steps, 2)).astype(np.float32)
    return X, (X[:, :, 0].sum(1) > 0).astype(int)


@checks_of(
    SequenceClassifier(
        hidden_size=8, epochs=20, learning_rate=0.05, dropout=0, input_noise=0, threads=1, validation=None
    ),
    EXPECTED_FAILURES,
)
@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks pass values on purpose that warn
def test_the_checks_of_scikit_learn(estimator: Estimator, check: Any) -> None:
    run(estimator, check, EXPECTED_FAILURES)


def test_the_command_line_trains_the_same_bits(tmp_path: Path) -> None:
    (X, y), (further, _) = sequences(), sequences(seed=1)
    np.savez(tmp_path / "train.npz", inputs=X, labels=y)
    np.savez(tmp_path / "test.npz", inputs=further, labels=y)
    recipe = recipes.from_dict(
        {
            "name": "same",
            "task": "classify",
            "data": {"train": ["train.npz"], "test": ["test.npz"], "scaling": "standard", "validation": 0.2},
            "model": {"hidden_size": 8, "dropout": 0.2},
            "train": {"epochs": 2, "threads": 1, "batch_size": 16, "seed": 3},
        },
        "same",
    )
    run = experiment.train(recipe, tmp_path / "run", data_dir=tmp_path)
    estimator = SequenceClassifier(**SMALL, dropout=0.2, scaling="standard", validation=0.2, random_state=3).fit(X, y)
    weights, _ = storage.read(run.path / "model.safetensors", "model")
    assert all(torch.equal(weights[name], value) for name, value in estimator.model_.state_dict().items())
    answers = list(Predictor(run.path).predict([tmp_path / "test.npz"]))
    assert [int(answer["label"]) for answer in answers] == estimator.predict(further).tolist()
    by_label = [[answer["probabilities"][label] for label in ("0", "1")] for answer in answers]
    assert by_label == estimator.predict_proba(further).tolist()
    opened = holdfast.load(run.path)
    assert isinstance(opened, SequenceClassifier)
    assert opened.get_params()["dropout"] == 0.2
    assert opened.classes_.tolist() == ["0", "1"]
    assert np.array_equal(opened.predict_proba(further), estimator.predict_proba(further))


def test_the_command_line_trains_the_same_bits_on_texts(tmp_path: Path) -> None:
    texts = [f"{word} film number {k}" for k in range(20) for word in ("good", "bad")]
    y = [text.split()[0] for text in texts]
    rows = "".join(f"__label__{label} {text}\n" for text, label in zip(texts, y, strict=True))
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text(rows)
    recipe = recipes.from_dict(
        {
            "name": "same",
            "data": {"train": ["train.txt"], "test": ["test.txt"], "unit": "words"},
            "model": {"hidden_size": 8},
            "train": {"epochs": 2, "threads": 1, "batch_size": 16},
        },
        "same",
    )
    run = experiment.train(recipe, tmp_path / "run", data_dir=tmp_path)
    estimator = TextClassifier(**SMALL).fit(texts, y)
    weights, _ = storage.read(run.path / "model.safetensors", "model")
    assert all(torch.equal(weights[name], value) for name, value in estimator.model_.state_dict().items())
    assert isinstance(holdfast.load(run.path), TextClassifier)
    assert [answer["label"] for answer in Predictor(run.path).predict_values(texts)] == estimator.predict(
        texts
    ).tolist()


def test_the_constructor_has_the_fields_of_the_recipe() -> None:
    parameters = inspect.signature(SequenceClassifier).parameters
    assert parameters["hidden_size"].default == recipes.RECIPES["classify"].model_fields["model"].default.hidden_size
    assert parameters["random_state"].default == 0
    assert {"cell", "head", "epochs", "batch_size", "learning_rate", "scaling", "class_weight"} <= set(parameters)
    assert not {"seed", "embedding_size", "source", "limit", "class_weights"} & set(parameters)
    assert "    hidden_size: Units of each layer" in (SequenceClassifier.__doc__ or "")
    assert all(parameter.default is None or np.isscalar(parameter.default) for parameter in parameters.values())
    assert SequenceClassifier(input_layer={"size": 4}, **SMALL).fit(*sequences()).model_.input.out_features == 4


@pytest.mark.parametrize(
    "labels",
    [
        np.array([3, 10], dtype=np.int16),
        np.array([False, True]),
        np.array([2.0, 10.0]),
        np.array(["no", "yes"]),
        np.array(["no", "yes"], dtype=object),
    ],
    ids=str,
)
def test_labels_keep_their_type(labels: np.ndarray, tmp_path: Path) -> None:
    X, y = sequences()
    estimator = SequenceClassifier(**SMALL).fit(X, labels[y])
    assert np.array_equal(estimator.classes_, labels)
    assert estimator.predict(X).dtype == labels.dtype
    assert np.array_equal(estimator.predict(X), labels[estimator.predict_proba(X).argmax(1)])
    estimator.save(tmp_path / "model.safetensors")
    opened: Any = holdfast.load(tmp_path / "model.safetensors")
    assert opened.classes_.dtype == labels.dtype or labels.dtype.kind == "U"
    assert np.array_equal(opened.predict(X), estimator.predict(X))
    chosen = estimator.task_.settings.input_noise
    assert opened.get_params() == {**estimator.get_params(), "device": "auto", "input_noise": chosen}


def test_inputs_of_every_form_give_the_same_bits() -> None:
    X, y = sequences()
    X = X.astype(np.float64)  # as lists of numbers are
    wanted = SequenceClassifier(**SMALL).fit(X, y).predict_proba(X)
    first = {**SMALL, "layout": "channels_first"}
    for estimator, values in [
        (SequenceClassifier(**SMALL), torch.from_numpy(X)),
        (SequenceClassifier(**SMALL), list(X)),
        (SequenceClassifier(**SMALL), X.tolist()),
        (SequenceClassifier(**SMALL), list(torch.from_numpy(X))),
        (SequenceClassifier(**first), X.transpose(0, 2, 1)),
        (SequenceClassifier(**first), list(X.transpose(0, 2, 1))),
    ]:
        estimator.fit(values, torch.from_numpy(y))
        assert estimator.n_features_in_ == 2
        assert np.array_equal(estimator.predict_proba(values), wanted)
    table = SequenceClassifier(**SMALL).fit(X[:, :, 0], y)
    assert table.n_features_in_ == X.shape[1]
    assert np.array_equal(table.predict_proba(X[:, :, 0]), table.predict_proba(list(X[:, :, 0])))
    assert table.predict([X[0, :3, 0], X[1, :, 0]]).shape == (2,)


def test_unequal_lengths_and_missing_values() -> None:
    X, y = sequences()
    ragged = [row[: 3 + k % 6] for k, row in enumerate(X)]
    estimator = SequenceClassifier(**SMALL).fit(ragged, y)
    assert np.allclose(estimator.predict_proba([ragged[0]]), estimator.predict_proba(ragged)[:1], atol=1e-6)
    assert estimator.predict([row.tolist() for row in ragged]).tolist() == estimator.predict(ragged).tolist()
    X[0, 2, 1] = np.nan
    with pytest.raises(DataError, match=r"X\[0\] holds nan at step 2, channel 1"):
        SequenceClassifier(**SMALL).fit(X, y)
    filled = SequenceClassifier(**SMALL, missing="mask").fit(X, y)
    assert filled.n_features_in_ == 2
    assert np.isfinite(filled.predict_proba(X)).all()


def test_saved_pickled_and_copied_models_answer_alike(tmp_path: Path) -> None:
    X, y = sequences()
    estimator = SequenceClassifier(**SMALL, class_weight={0: 2.0}, options={"forget_bias": 2.0}).fit(X, y)
    estimator.save(tmp_path / "model.safetensors")
    content = pickle.dumps(estimator)
    assert b"torch" not in content  # the model is the content of a model file
    for other in (pickle.loads(content), copy.deepcopy(estimator), holdfast.load(tmp_path / "model.safetensors")):
        assert np.array_equal(other.predict_proba(X), estimator.predict_proba(X))
        assert other.get_params()["class_weight"] == {0: 2.0}
        assert other.get_params()["options"] == {"forget_bias": 2.0}
        assert other.evaluate(X, y) == estimator.evaluate(X, y)
        assert not hasattr(clone(other), "history_")
    assert Predictor(tmp_path / "model.safetensors").task.to_dict() == estimator.task_.to_dict()
    assert experiment.measure(Predictor(tmp_path / "model.safetensors"), examples(estimator, X, y)).metrics[
        "accuracy"
    ] == estimator.score(X, y)


def examples(estimator: Any, X: np.ndarray, y: np.ndarray) -> Any:
    return estimator._examples(X, y, None, reset=False)


def test_validation_is_a_fraction_a_pair_or_nothing() -> None:
    (X, y), held = sequences(), sequences(20, seed=1)
    none, zero = (SequenceClassifier(**SMALL, validation=value).fit(X, y) for value in (None, 0))
    assert "validation" not in none.history_[-1]
    assert np.array_equal(none.predict_proba(X), zero.predict_proba(X))
    pair = SequenceClassifier(**SMALL, validation=held).fit(X, y)
    assert pair.history_[-1]["train"] == none.history_[-1]["train"]
    best = next(row for row in reversed(pair.history_) if row["best"])
    assert best["validation"] == pair.evaluate(*held)
    with pytest.raises(DataError, match=r"y\[0\] is 7, which no training example has; known labels: 0, 1\."):
        SequenceClassifier(**SMALL, validation=(X[:1], [7])).fit(X, y)
    with pytest.raises(OptionError, match=r"validation has 3 parts; expected a pair \(X, y\)"):
        SequenceClassifier(**SMALL, validation=(X, y, y)).fit(X, y)


def test_weights_are_repetitions() -> None:
    X, y = sequences()
    weights = np.random.default_rng(2).integers(0, 4, len(X))
    whole = {**SMALL, "batch_size": 400, "validation": None, "dropout": 0, "input_noise": 0}
    weighted = SequenceClassifier(**whole).fit(X, y, sample_weight=weights)
    repeated = SequenceClassifier(**whole).fit(X.repeat(weights, 0), y.repeat(weights))
    assert not np.allclose(weighted.predict_proba(X), SequenceClassifier(**whole).fit(X, y).predict_proba(X), atol=1e-4)
    assert np.allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)
    equal = SequenceClassifier(**whole).fit(X, y, sample_weight=np.full(len(X), 2.5))
    assert np.array_equal(equal.predict_proba(X), SequenceClassifier(**whole).fit(X, y).predict_proba(X))
    assert weighted.score(X, y, sample_weight=weights) == np.average(weighted.predict(X) == y, weights=weights)


def test_class_weights_by_label_and_balanced() -> None:
    X, y = sequences()
    by_text = {**SMALL, "validation": None}
    a = SequenceClassifier(**by_text, class_weight={False: 3.0}).fit(X, y == 1)
    b = SequenceClassifier(**by_text).fit(X, y, sample_weight=np.where(y == 0, 3.0, 1.0))
    assert a.task_.weights == [3.0, 1.0]
    assert not np.array_equal(a.predict_proba(X), b.predict_proba(X))  # the weights of b have a mean of 1
    balanced = SequenceClassifier(**by_text, class_weight="balanced").fit(X, y)
    assert np.allclose(balanced.task_.weights, len(y) / (2 * np.bincount(y)))
    with pytest.raises(OptionError, match="class_weight has the label 5, which no training example has"):
        SequenceClassifier(**by_text, class_weight={5: 1.0}).fit(X, y)


def test_several_labels_for_each_sequence(tmp_path: Path) -> None:
    X, _ = sequences()
    y = (X[:, :3, 0] > 0).astype(np.int32)
    estimator = SequenceClassifier(**SMALL, class_weight={1: 2.0}).fit(X, y)
    probabilities = estimator.predict_proba(X)
    assert estimator.predict(X).dtype == np.int32
    assert np.array_equal(estimator.predict(X), probabilities >= 0.5)
    assert estimator.score(X, y) == (estimator.predict(X) == y).all(1).mean() == estimator.evaluate(X, y)["exact_match"]
    assert estimator.task_.weights == [1.0, 2.0, 1.0]
    estimator.save(tmp_path / "model.safetensors")
    opened: Any = holdfast.load(tmp_path / "model.safetensors")
    assert opened.predict(X).dtype == np.int32
    assert np.array_equal(opened.predict_proba(X), probabilities)
    np.savez(tmp_path / "x.npz", inputs=X)
    answers = list(Predictor(tmp_path / "model.safetensors").predict([tmp_path / "x.npz"]))
    assert [answer["labels"] for answer in answers] == [
        sorted((str(k) for k in np.flatnonzero(row)), key=lambda k: -answer["probabilities"][k])
        for row, answer in zip(estimator.predict(X), answers, strict=True)
    ]
    with pytest.raises(DataError, match=r"y has shape \(60, 2\); expected \(60, 3\), a column for each label"):
        estimator.score(X, y[:, :2])
    with pytest.raises(DataError, match="Column 1 of y is 0 in all training examples"):
        estimator.fit(X, y * [1, 0, 1])


def test_warm_start_continues() -> None:
    X, y = sequences()
    estimator = SequenceClassifier(**SMALL, warm_start=True, validation=None).fit(X, y)
    before = {name: value.clone() for name, value in estimator.model_.state_dict().items()}
    first = estimator.history_[-1]["train"]["loss"]
    estimator.fit(X, y)
    assert estimator.history_[0]["train"]["loss"] < first
    assert not torch.equal(before["output.weight"], estimator.model_.state_dict()["output.weight"])
    with pytest.raises(OptionError, match="warm_start continues the fitted network"):
        estimator.set_params(hidden_size=9).fit(X, y)
    with pytest.raises(DataError, match=r"y\[0\] is 5"):
        estimator.set_params(hidden_size=8).fit(X, y + 5)


def test_callbacks_watch_and_progress_is_silent_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    class Count(Listener):
        updates = 0

        def update(self, training: Any, sequences: int) -> None:
            self.updates += sequences

    X, y = sequences()
    count = Count()
    SequenceClassifier(**SMALL, callbacks=[count], validation=None).fit(X, y)
    assert count.updates == 2 * len(X)
    assert capsys.readouterr() == ("", "")
    SequenceClassifier(**SMALL, verbose=1).fit(X, y)
    assert "epoch 2/2" in capsys.readouterr().err


def test_the_random_state() -> None:
    X, y = sequences()
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    a, b = (SequenceClassifier(**SMALL).fit(X, y).predict_proba(X) for _ in range(2))
    assert np.array_equal(a, b)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    c, d = (
        SequenceClassifier(**SMALL, random_state=np.random.RandomState(1)).fit(X, y).predict_proba(X) for _ in range(2)
    )
    assert np.array_equal(c, d)
    e, f = (SequenceClassifier(**SMALL, random_state=None).fit(X, y).predict_proba(X) for _ in range(2))
    assert not np.array_equal(e, f)


def test_errors_name_the_place_and_the_next_step(tmp_path: Path) -> None:
    X, y = sequences()
    fitted = SequenceClassifier(**SMALL).fit(X, y)
    for call, kind, message in [
        (lambda: SequenceClassifier(hiden_size=3), OptionError, "has no argument 'hiden_size': did you mean 'hidden_s"),
        (lambda: SequenceClassifier(epochs=0).fit(X, y), OptionError, "cannot be used: epochs is 0: input should be g"),
        (lambda: fitted.fit(X, y[:-1]), DataError, "inconsistent numbers of samples"),
        (lambda: fitted.fit(X, None), DataError, "requires y to be passed"),
        (lambda: fitted.fit(X, y * 0), DataError, "y has one class, '0', in 60 examples"),
        (lambda: fitted.fit(X, y, np.ones(3)), DataError, r"sample_weight has shape \(3,\); expected \(60,\)"),
        (lambda: fitted.fit(X, y, np.full(60, -1.0)), DataError, "sample_weight holds -1"),
        (lambda: fitted.predict(X[:, :, :1]), DataError, "X has 1 features, but SequenceClassifier is expecting 2"),
        (lambda: fitted.predict(X[:, :, 0]), DataError, "X has 1 features, but SequenceClassifier is expecting 2"),
        (lambda: fitted.predict(list(X[:, :, 0])), DataError, "X has 1 features, but SequenceClassifier is expecti"),
        (lambda: fitted.predict(X[0, 0]), DataError, "Expected 2D array, got 1D array"),
        (lambda: fitted.predict([["a"]]), DataError, "is not compatible with arrays of bytes/strings"),
        (lambda: fitted.score(X, y + 1), DataError, r"y\[\d+\] is 2, which no training example has"),
        (lambda: fitted.fit(X, np.array([1, "1"] * 30, dtype=object)), DataError, "Unknown label type"),
        (lambda: SequenceClassifier(layout="TNC").fit(X, y), OptionError, "layout is 'TNC'"),
        (lambda: SequenceClassifier().predict(X), NotFittedError, "is not fitted yet"),
        (lambda: TextClassifier(**SMALL).fit([1, 2], [0, 1]), DataError, r"values\[0\] is of type int"),
        (lambda: holdfast.load(tmp_path / "none"), ModelFileError, "is not there"),
    ]:
        with pytest.raises(kind, match=message):
            call()
    with pytest.raises(DataTypeError, match="Sparse data was passed"):
        fitted.predict(scipy.sparse.csr_array(X[:, :, 0]))


def test_a_failed_fit_changes_nothing() -> None:
    X, y = sequences()
    fitted = SequenceClassifier(**SMALL).fit(X, y)
    before = fitted.predict_proba(X)
    with pytest.raises(OptionError, match="patience = 1 needs a validation score"):
        fitted.set_params(patience=1, validation=None).fit(X[:, :, :1], y + 5)
    assert np.array_equal(fitted.predict_proba(X), before)
    assert fitted.classes_.tolist() == [0, 1]


def test_pipelines_and_cross_validation() -> None:
    X, y = sequences()
    pipeline = make_pipeline(FunctionTransformer(np.tanh), SequenceClassifier(**SMALL))
    assert pipeline.fit(X, y).predict(X).shape == y.shape
    assert cross_val_score(SequenceClassifier(**SMALL), X, y, cv=2).shape == (2,)


def test_a_search_over_hidden_sizes(real_data: Any) -> None:
    from holdfast.data import read
    from holdfast.data.settings import ReadingSettings

    folder = real_data("JapaneseVowels")
    train = read([folder / "JapaneseVowels_TRAIN.ts"], ReadingSettings())
    test = read([folder / "JapaneseVowels_TEST.ts"], ReadingSettings())
    classifier = SequenceClassifier(epochs=8, learning_rate=0.01, threads=1, scaling="standard")
    search = GridSearchCV(classifier, {"hidden_size": [4, 32]}, cv=2).fit(train.inputs, train.targets)
    assert search.best_params_ == {"hidden_size": 32}
    assert search.score(test.inputs, test.targets) > 0.9

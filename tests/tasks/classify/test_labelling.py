import pytest
import torch
from torch.nn import functional as F

from holdfast.data import Labels
from holdfast.errors import OptionError, RecipeError
from holdfast.tasks.classify.labelling import OneLabel, SeveralLabels, class_weights, labelling

ONE, SEVERAL = Labels(classes=["a", "b", "c"]), Labels(classes=["a", "b", "c"], separator="|")


def test_the_separator_decides():
    assert type(labelling(ONE)) is OneLabel
    assert type(labelling(SEVERAL)) is SeveralLabels


def test_weights_of_one_label_scale_each_sequence_whatever_its_batch():
    scores, targets = torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 1, 0])
    weights = [0.5, 1.0, 3.0]
    each = torch.tensor([weights[k] for k in targets]) * F.cross_entropy(scores, targets, reduction="none")
    weighted = labelling(ONE, weights)
    torch.testing.assert_close(weighted.loss(scores, targets), each.mean())
    halves = [weighted.loss(scores[part], targets[part]) for part in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(sum(halves) / 2, each.mean())
    assert torch.equal(labelling(ONE).loss(scores, targets), F.cross_entropy(scores, targets))


def test_weights_of_several_labels_count_where_a_sequence_has_the_label():
    scores, targets = torch.randn(2, 3, dtype=torch.float64), torch.tensor([[1.0, 0, 1], [0, 0, 1]])
    p = torch.sigmoid(scores)
    weights = torch.tensor([2.0, 5.0, 0.5], dtype=torch.float64)
    expected = -(weights * targets * p.log() + (1 - targets) * (1 - p).log()).mean()
    torch.testing.assert_close(labelling(SEVERAL, weights.tolist()).loss(scores, targets), expected)


def test_answers_with_one_label():
    [answer] = labelling(ONE).answers(torch.tensor([[0.0, 2.0, 1.0]]))
    assert answer["label"] == "b"
    assert list(answer["probabilities"]) == ["b", "c", "a"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_answers_with_several_labels_have_all_that_are_likely():
    both, none = labelling(SEVERAL).answers(torch.tensor([[1.0, -2.0, 3.0], [-1.0, -2.0, -3.0]]))
    assert (both["label"], both["labels"]) == ("c|a", ["c", "a"])
    assert (none["label"], none["labels"]) == ("", [])
    assert both["probabilities"]["a"] == pytest.approx(0.7310586)
    assert list(none["probabilities"]) == ["a", "b", "c"]


def test_balanced_weights_undo_how_often_a_label_occurs():
    assert class_weights("", ONE, []) is None
    train = ["a"] * 6 + ["b"] * 3 + ["c"]
    weights = class_weights("balanced", ONE, train)
    assert weights == pytest.approx([10 / 18, 10 / 9, 10 / 3])
    assert sum(weights[ONE.classes.index(label)] for label in train) == pytest.approx(len(train))
    assert class_weights("balanced", SEVERAL, ["a|b", "a", "a|c", "a"]) == pytest.approx([1 / 4, 3, 3])


def test_a_table_of_weights():
    assert class_weights({"c": 4}, ONE, []) == [1, 1, 4]
    with pytest.raises(RecipeError) as error:
        class_weights({"d": 2.0}, ONE, [])
    assert str(error.value) == "There is no label 'd' (model.class_weights): known are a, b, c."
    with pytest.raises(RecipeError) as error:
        class_weights("balance", ONE, [])
    assert str(error.value) == (
        "model.class_weights is 'balance'; expected \"balanced\", or a table such as { rare = 5.0 }."
    )
    with pytest.raises(OptionError) as error:
        labelling(ONE, [1.0])
    assert str(error.value) == "There are 1 weights for 3 labels; expected one for each."

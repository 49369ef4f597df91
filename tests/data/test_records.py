import pytest

from holdfast.data import Records, divided
from holdfast.errors import DataError
from holdfast.settings import DataSettings


def records(count, **options):
    names = [f"x[{k}]" for k in range(count)]
    return Records([f"text {k}" for k in range(count)], [str(k % 2) for k in range(count)], names, **options)


def test_a_subset_keeps_inputs_targets_and_origins_together():
    some = records(9).subset([3, 0, 3])
    assert some.inputs == ["text 3", "text 0", "text 3"]
    assert some.targets == ["1", "0", "1"]
    assert some.origins == ["x[3]", "x[0]", "x[3]"]
    assert some.unlabelled().targets is None


def test_labels_are_split_in_proportion_and_other_targets_freely():
    assert records(4).labels is None
    uneven = Records(list(range(40)), ["a"] * 30 + ["b"] * 10, [str(k) for k in range(40)], stratified=True)
    splits = divided(uneven, None, DataSettings(test_fraction=0.2, validation=0.25), seed=1)
    assert splits.test.targets.count("b") == 2
    assert splits.validation.targets.count("b") == 2
    everything = [*splits.train.origins, *splits.validation.origins, *splits.test.origins]
    assert sorted(everything, key=int) == uneven.origins


def test_sets_are_joined_when_all_or_none_have_targets():
    both = Records.join([records(2), records(3)])
    assert len(both) == 5
    assert both.targets == ["0", "1", "0", "1", "0"]
    assert Records.join([records(2).unlabelled(), records(3).unlabelled()]).targets is None
    with pytest.raises(DataError, match="Some files have targets and others have none; expected all or none"):
        Records.join([records(2), records(3).unlabelled()])


def test_counts_must_agree():
    with pytest.raises(DataError, match="Records were given 1 inputs, 2 origins, 1 targets; expected one of each"):
        Records(["a"], ["b"], ["x", "y"])

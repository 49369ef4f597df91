import numpy as np
import pytest
import torch

from holdfast import recipes
from holdfast.data import Batch, Encoder, Examples
from holdfast.errors import DataError, OptionError
from holdfast.tasks.classify.network import Classifier
from holdfast.tasks.classify.settings import ClassifyData, ClassifyModel
from holdfast.tasks.classify.task import ClassifyTask
from holdfast.tasks.head_network import pooled

HEADS = ("last_state", "last_output", "mean", "max")


def task(**model):
    rng = torch.Generator().manual_seed(0)
    inputs = [torch.randn(n, 3, generator=rng).numpy() for n in (4, 6, 5, 6)]
    examples = Examples(inputs, ["b", "a", "b", "c"], [f"row{k}" for k in range(4)])
    return ClassifyTask(ClassifyModel(hidden_size=5, **model), Encoder.fit(examples, ClassifyData())), examples


def encoded(of, examples):
    return of.encoder.encode(examples).__getitems__(range(len(examples)))


def test_few_sequences_of_unit_variance_get_noise_in_training_alone():
    def fitted(count, data=None, **model):
        inputs = [np.random.default_rng(k).normal(size=(3, 2)) for k in range(count)]
        train = Examples(inputs, ["a", "b"] * (count // 2), [f"row{k}" for k in range(count)])
        table = {"name": "x", "task": "classify", "model": {"hidden_size": 4, "dropout": 0, **model}}
        return ClassifyTask.fit(recipes.from_dict({**table, "data": data or {}}, "x"), train), train

    of, train = fitted(10)
    assert of.settings.input_noise > 0
    assert fitted(1000)[0].settings.input_noise == 0
    assert fitted(10, {"scaling": "none"})[0].settings.input_noise == 0
    assert fitted(10, input_noise=0)[0].settings.input_noise == 0
    model, batch = of.build(), encoded(of, train)
    noisy, again = (model(batch.inputs)[0] for _ in range(2))
    assert not torch.equal(noisy, again)
    model.eval()
    assert torch.equal(model(batch.inputs)[0], model(batch.inputs)[0])
    assert Classifier(2, 2, ClassifyModel()).input_noise == 0  # a model file without the field


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_padded_batch_scores_as_each_sequence_alone(cell, head, bidirectional):
    of, examples = task(cell=cell, head=head, bidirectional=bidirectional, num_layers=2)
    model = of.build().eval()
    together, _ = model(encoded(of, examples).inputs, encoded(of, examples).lengths)
    for k in range(4):
        alone, _ = model(encoded(of, examples.subset([k])).inputs)
        torch.testing.assert_close(together[k], alone[0])


def test_the_final_state_and_the_last_output_are_two_ways_to_one_result():
    of, examples = task(head="last_state", bidirectional=False)
    model, batch = of.build().eval(), encoded(of, examples)
    by_state, _ = model(batch.inputs, batch.lengths)
    model.head = "last_output"
    by_output, _ = model(batch.inputs, batch.lengths)
    torch.testing.assert_close(by_state, by_output)


@pytest.mark.parametrize("merge", ["concat", "sum", "mean", "product"])
def test_final_states_of_two_directions_are_merged_as_the_outputs_are(merge):
    of, examples = task(bidirectional=True, merge=merge)
    model, batch = of.build().eval(), encoded(of, examples)
    outputs, (h, _) = model.recurrent(batch.inputs, lengths=batch.lengths)
    ended = model.recurrent.last_hidden((h, None))
    width = 10 if merge == "concat" else 5
    assert ended.shape == (4, width)
    # The forward half ends at a row's last step, the backward half at its first.
    row, last = 0, int(batch.lengths[0]) - 1
    if merge == "concat":
        torch.testing.assert_close(ended[row], torch.cat([outputs[row, last, :5], outputs[row, 0, 5:]]))
    combine = {"sum": torch.add, "mean": lambda a, b: (a + b) / 2, "product": torch.mul}
    if merge in combine:
        torch.testing.assert_close(ended, combine[merge](h[0], h[1]))


def test_layers_of_different_sizes_end_with_the_last_one():
    model = Classifier(3, 2, ClassifyModel(hidden_size=[7, 4], bidirectional=True))
    scores, state = model(torch.randn(2, 5, 3))
    assert scores.shape == (2, 2)
    assert model.output.in_features == 8
    assert [part.shape for part in state[0]] == [(2, 2, 7), (2, 2, 4)]


def test_pooling_sees_only_the_steps_within_the_length():
    outputs = torch.tensor([[[1.0], [-3.0], [0.0]], [[-2.0], [-1.0], [-4.0]], [[0.0], [0.0], [0.0]]])
    lengths = torch.tensor([2, 3, 0])
    assert pooled(outputs, lengths, "mean")[:, 0].tolist() == pytest.approx([-1.0, -7 / 3, 0.0])
    assert pooled(outputs, lengths, "max")[:, 0].tolist() == [1.0, -1.0, 0.0]
    assert pooled(outputs, lengths, "last_output")[:, 0].tolist() == [-3.0, -4.0, 0.0]


def test_input_layer_has_the_initial_values_that_were_asked_for():
    torch.manual_seed(0)
    model = Classifier(
        28, 10, ClassifyModel.model_validate({"input_layer": {"size": 256, "weight_std": 1, "bias": 0.1}})
    )
    assert model.input.weight.std().item() == pytest.approx(1, abs=0.05)
    assert torch.all(model.input.bias == 0.1)
    assert model.recurrent.input_size == 256


def test_the_cell_takes_its_options_from_the_recipe_and_refuses_unknown_ones():
    of, _ = task(options={"forget_bias": 2.0, "layer_norm": True})
    model = of.build()
    assert torch.all(model.recurrent.bias_ih_l0[5:10] == 2)
    assert model.recurrent.specs[0].layer_norm
    with pytest.raises(OptionError, match="LSTM has no option 'peephole': did you mean 'peepholes'\\?"):
        task(options={"peephole": True})[0].build()


def test_state_goes_in_and_comes_out_so_that_it_can_be_carried():
    of, examples = task(head="last_state", bidirectional=False)
    model, batch = of.build().eval(), encoded(of, examples)
    first = of.loss(model, Batch(batch.inputs[:, :2], None, batch.targets))
    second = of.loss(model, Batch(batch.inputs[:, 2:4], None, batch.targets), first.state)
    whole = of.loss(model, Batch(batch.inputs[:, :4], None, batch.targets))
    torch.testing.assert_close(second.outputs, whole.outputs)


def test_answers_name_labels_with_probabilities_from_the_likeliest_down():
    of, examples = task()
    model, batch = of.build().eval(), encoded(of, examples)
    answers = of.answers(model, batch)
    scores, _ = model(batch.inputs, batch.lengths)
    for answer, row in zip(answers, scores, strict=True):
        assert answer["label"] == "abc"[int(row.argmax())]
        assert list(answer["probabilities"].values()) == sorted(answer["probabilities"].values(), reverse=True)
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
        assert set(answer["probabilities"]) == {"a", "b", "c"}


def test_a_loss_without_labels_is_one_clear_error():
    of, examples = task()
    batch = encoded(of, Examples(examples.inputs, None, examples.origins))
    with pytest.raises(DataError, match="The sequences have no labels; expected one for each"):
        of.loss(of.build(), batch)


def test_a_task_survives_the_way_through_json():
    import json

    of, examples = task(cell="gru", options={"reset_after": False})
    back = ClassifyTask.from_dict(json.loads(json.dumps(of.to_dict())))
    model, other = of.build().eval(), back.build().eval()
    other.load_state_dict(model.state_dict())
    batch = encoded(of, examples)
    assert torch.equal(model(batch.inputs, batch.lengths)[0], other(batch.inputs, batch.lengths)[0])
    assert back.encoder.labels.classes == ["a", "b", "c"]

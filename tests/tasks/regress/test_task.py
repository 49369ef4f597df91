"""The task regress: targets of sequences and of steps, losses, answers, carried state, and what does not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks.regress.regressors import answers, examples, network, task

from holdfast.data import Examples, Records
from holdfast.data.cuts import CutBatches
from holdfast.errors import DataError, HoldfastWarning, RecipeError
from holdfast.settings import TrainSettings
from holdfast.tasks import RegressTask
from holdfast.tasks.regress.settings import RegressData, RegressModel, RegressRecipe
from holdfast.tasks.regress.windows import WindowBatches
from holdfast.training import fit

QUANTILES = {"loss": "quantile", "quantiles": [0.1, 0.5, 0.9]}
SHAPES = [(1, False), (3, False), (1, True), (2, True)]


@pytest.mark.parametrize(("targets", "per_step"), SHAPES)
@pytest.mark.parametrize("unequal", [False, True])
def test_targets_are_scaled_inside_and_answers_are_not(targets: int, per_step: bool, unequal: bool) -> None:
    given = examples(targets=targets, per_step=per_step, unequal=unequal)
    of = task(given)
    batch = next(iter(of.batches(given).epoch(0)))
    known = batch.known_targets[~batch.known_targets.isnan()].reshape(-1, targets)
    torch.testing.assert_close(known.mean(0), torch.zeros(targets), rtol=0, atol=1e-5)
    torch.testing.assert_close(known.std(0, correction=0), torch.ones(targets))
    model = network(of)
    rows = answers(of, model, given)
    step = of.loss(model, batch)
    names = ["target"] if targets == 1 else [f"target {k}" for k in range(targets)]
    for row, outputs, length in zip(rows, step.outputs[..., 0], given.lengths.tolist(), strict=True):
        assert list(row["values"]) == names
        expected = outputs[:length].T if per_step else outputs
        np.testing.assert_allclose(list(row["values"].values()), expected, rtol=1e-4)
    errors = (step.outputs[..., 0] - of.encoder.targets.restored(batch.known_targets[..., None])[..., 0]).nan_to_num()
    std = torch.tensor(of.encoder.targets.scaling.std)
    assert step.loss.item() == pytest.approx(((errors / std) ** 2).sum().item() / known.numel(), rel=1e-4)


@pytest.mark.parametrize("per_step", [False, True])
def test_both_directions_are_for_targets_of_sequences_unless_the_recipe_says_otherwise(per_step: bool) -> None:
    given = examples(per_step=per_step)
    of = task(given, bidirectional="auto")
    assert of.settings.bidirectional is not per_step
    assert of.build().recurrent.output_size == (8 if per_step else 16)
    assert task(given, bidirectional=per_step).settings.bidirectional is per_step
    assert RegressTask.from_dict(of.to_dict()).settings == of.settings


@pytest.mark.parametrize("head", ["last_state", "last_output", "mean", "max"])
def test_the_heads_are_those_of_a_classifier(head: str) -> None:
    given = examples(unequal=True)
    of = task(given, head=head)
    model = network(of)
    batch = next(iter(of.batches(given).epoch(0)))
    outputs, _ = model.recurrent(batch.inputs, lengths=batch.lengths)
    rows = [row[:length] for row, length in zip(outputs, given.lengths.tolist(), strict=True)]
    pooled = {"mean": [r.mean(0) for r in rows], "max": [r.amax(0) for r in rows]}.get(head, [r[-1] for r in rows])
    expected = of.encoder.targets.restored(model.output(torch.stack(pooled))[..., None])
    torch.testing.assert_close(of.loss(model, batch).outputs, expected.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "model", [{}, {"cell": "gru", "bidirectional": True}, {"num_layers": 2, "input_layer": {"size": 3}}]
)
def test_a_decoder_knows_the_sequence_by_one_vector(model: dict[str, Any]) -> None:
    given = examples(targets=2, per_step=True, unequal=True)
    of = task(given, encoder_decoder=True, **model)
    net = network(of)
    batch = next(iter(of.batches(given).epoch(0)))
    with torch.no_grad():
        x = batch.inputs if net.input is None else net.input(batch.inputs)
        _, state = net.recurrent(x, lengths=batch.lengths)
        vectors = net.recurrent.last_hidden(state)
        for row, (vector, steps) in enumerate(zip(vectors, given.lengths.tolist(), strict=True)):
            outputs, _ = net.decoder(vector.expand(1, steps, -1).clone())
            expected = of.encoder.targets.restored(net.output(outputs[0])[..., None])[..., 0].T
            found = answers(of, net, given)[row]["values"].values()
            np.testing.assert_allclose(list(found), expected, rtol=1e-4)
        assert of.chain(net).tensor_shapes() == {name: tuple(t.shape) for name, t in net.state_dict().items()}
        padded = batch.inputs.clone()
        for row, steps in enumerate(given.lengths.tolist()):
            padded[row, steps:] = torch.nan
        outputs, again = (net(inputs, batch.lengths)[0] for inputs in (batch.inputs, padded))
        for row, steps in enumerate(given.lengths.tolist()):
            assert torch.equal(outputs[row, :steps], again[row, :steps])


def test_where_a_decoder_does_not_fit() -> None:
    with pytest.raises(RecipeError, match=r"^model.encoder_decoder = true is for targets per step; leave it out.$"):
        task(examples(), encoder_decoder=True)
    with pytest.raises(RecipeError, match=r"^model.encoder_decoder = true reads each sequence as a whole, and train"):
        task(examples(per_step=True), encoder_decoder=True, train={"carry_state": True})


@pytest.mark.parametrize(("targets", "per_step"), SHAPES)
def test_quantiles_ascend_and_the_median_is_the_answer(targets: int, per_step: bool) -> None:
    given = examples(targets=targets, per_step=per_step, unequal=True)
    of = task(given, **QUANTILES)
    for row in answers(of, network(of), given):
        for name, values in row["values"].items():
            levels = row["quantiles"][name]
            assert list(levels) == ["0.1", "0.5", "0.9"]
            assert levels["0.5"] == values
            assert np.all(np.diff(list(levels.values()), axis=0) >= 0)
    assert of.metrics().compute().keys() >= {"mae", "rmse", "r2", "coverage", "mean_mae"}


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "quantile"])
@pytest.mark.parametrize(("targets", "per_step"), SHAPES)
def test_each_loss_is_learned(loss: str, targets: int, per_step: bool) -> None:
    given = examples(targets=targets, per_step=per_step)
    of = task(given, loss=loss)
    torch.manual_seed(0)
    model = of.build()
    settings = TrainSettings(epochs=60, batch_size=6, learning_rate=2e-2, threads=1)
    fit(model, of, of.batches(given, settings), None, settings)
    metrics, model = of.metrics(), model.eval()
    with torch.inference_mode():
        for batch in of.batches(given).epoch(0):
            metrics.update(of.loss(model, batch).outputs, batch)
    results = metrics.compute()
    assert results["mae"] < 0.5 * results["mean_mae"]


def test_missing_targets_of_steps_do_not_train() -> None:
    given = examples(per_step=True)
    holes: Any = [target.copy() for target in given.targets or []]
    for target in holes:
        target[1::2] = np.nan
    some = Examples(given.inputs, holes, given.origins, per_step=True)
    of = task(some)
    assert of.encoder.targets.scaling.mean[0] == pytest.approx(np.nanmean(holes))
    model = network(of)
    batch = next(iter(of.batches(some).epoch(0)))
    of.loss(model, batch).loss.backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    scaled = of.encoder.targets.scaled(some)
    outputs = model(batch.inputs)[0][:, ::2]
    torch.nn.functional.mse_loss(outputs, torch.stack(scaled)[:, ::2]).backward()
    for parameter, expected in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


def test_weights_of_rows_scale_their_losses() -> None:
    given = examples()
    of = task(given)
    batch = next(iter(of.batches(given).epoch(0)))
    model, weights = network(of), torch.rand(12)
    each = [of.loss(model, of.encode(given.subset([k])).__getitems__(np.array([0]))).loss for k in range(12)]
    assert of.loss(model, replace(batch, weights=weights)).loss.item() == pytest.approx(
        float((torch.stack(each).detach() * weights).mean()), rel=1e-5
    )
    steps = examples(per_step=True, unequal=True)
    of = task(steps, data={"window": 3}, train={"carry_state": True})
    weighted = replace(steps, weights=np.arange(12.0))
    for training in (None, TrainSettings(carry_state=True, batch_size=4), TrainSettings(batch_size=4)):
        for batch in of.batches(weighted, training).epoch(0):
            assert batch.weights is not None
            for row, weight in zip(batch.inputs, batch.weights.tolist(), strict=True):
                if len(batch) == 12:
                    continue
                own = of.encoder.scaling.apply(np.asarray(steps.inputs[int(weight)]))
                assert any((np.abs(own - row[0].numpy()).max(1) < 1e-6).tolist()) or not row[0].any()


# Carried state


def test_windows_carry_the_state_within_a_sequence() -> None:
    given = examples(per_step=True, unequal=True)
    of = task(given, data={"window": 3}, train={"carry_state": True})
    batches = of.batches(given, TrainSettings(batch_size=5, carry_state=True))
    assert isinstance(batches, WindowBatches)
    model, state, whole = network(of), None, {}
    for batch in of.batches(given, size=1).epoch(0):
        for value, output in zip(
            batch.inputs[0, :, 0].tolist(), of.loss(model, batch).outputs[0, :, 0, 0], strict=True
        ):
            whole[value] = output.item()
    seen = 0
    for batch in batches.epoch(0):
        step = of.loss(model, batch, state)  # as training calls it, also where new sequences begin
        state = step.state
        lengths = [batch.inputs.shape[1]] * len(batch) if batch.lengths is None else batch.lengths.tolist()
        for row, outputs, length in zip(batch.inputs, step.outputs, lengths, strict=True):
            for value, output in zip(row[:length, 0].tolist(), outputs[:length, 0, 0].tolist(), strict=True):
                assert output == pytest.approx(whole[value], rel=1e-4)
                seen += 1
    assert seen == len(whole) == given.lengths.sum()


def test_without_windows_batches_come_in_order_with_the_state() -> None:
    given = examples(per_step=True)
    of = task(given)
    batches = of.batches(given, TrainSettings(batch_size=5, carry_state=True))
    first, second = batches.epoch(3)
    torch.testing.assert_close(
        torch.cat([first.inputs, second.inputs]), next(iter(of.batches(given).epoch(0))).inputs[:10]
    )
    model = network(of)
    state = of.loss(model, first).state
    assert not torch.equal(of.loss(model, second, state).outputs, of.loss(model, second).outputs)


def test_few_long_sequences_are_cut_unless_the_recipe_says_otherwise() -> None:
    values = np.random.default_rng(0).normal(size=(500, 2))
    long = Examples([values], [values.sum(1)], ["x"], per_step=True)
    of = task(long)
    assert of.window == of.choices["window"] == 62
    assert isinstance(of.batches(long, TrainSettings()), CutBatches)
    assert RegressTask.from_dict(of.to_dict()).window == 62
    [whole] = of.batches(long).epoch(0)  # to measure, sequences stay whole
    assert whole.inputs.shape == (1, 500, 2)
    assert task(long, data={"window": 9}).window == 9
    for tables in ({"data": {"window": 0}}, {"train": {"carry_state": True}}, {"encoder_decoder": True}):
        assert task(long, **tables).window == 0


# Texts


def test_texts_have_numbers() -> None:
    texts = ["good good", "bad", "good bad", "bad bad bad", "good", "bad good good"] * 4
    numbers = [t.split().count("good") - t.split().count("bad") for t in texts]
    train: Records[str, Any] = Records(texts, numbers, [f"line {k}" for k in range(24)])
    recipe = RegressRecipe(
        name="x", data=RegressData(unit="words"), model=RegressModel(hidden_size=8, embedding_size=4, head="mean")
    )
    of = RegressTask.fit(recipe, train)
    torch.manual_seed(0)
    model, settings = of.build(), TrainSettings(epochs=40, batch_size=8, learning_rate=2e-2, threads=1)
    fit(model, of, of.batches(train, settings), None, settings)
    [better, worse] = answers(of, model.eval(), of.from_lines(["good good", "bad bad bad"]))
    assert better["values"]["target"] > 1 > -1 > worse["values"]["target"]
    [again] = answers(of, model, of.from_values(["good good"]))
    assert again["values"] == pytest.approx(better["values"])


# Answers as text


def test_answers_as_text() -> None:
    given = examples(targets=2)
    of = task(given)
    row = answers(of, network(of), given)[0]
    assert of.text(row) == ",".join(map(str, row["values"].values()))
    steps = examples(targets=2, per_step=True)
    of = task(steps)
    row = answers(of, network(of), steps)[0]
    lines = of.text(row).splitlines()
    assert lines[0] == "target 0,target 1"
    assert lines[3].split(",") == [str(values[2]) for values in row["values"].values()]
    assert len(lines) == 7


def test_the_document_is_read_back() -> None:
    for given in (examples(targets=2), examples(per_step=True, unequal=True)):
        of = task(given, **QUANTILES)
        again = RegressTask.from_dict(of.to_dict())
        assert again.to_dict() == of.to_dict()
        model = network(of)
        assert answers(again, model, given) == answers(of, model, given)


# What does not fit


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"data": {"window": 5}, "train": {"carry_state": True}, "model": {"bidirectional": True}},
            "train.carry_state with data.window carries the state forwards, and model.bidirectional = true also needs "
            "later steps; set one of them to false, or leave data.window out.",
        ),
        (
            {"data": {"per": "step", "unit": "words"}},
            'data.per = "step" is for numbers; a text has targets per text. Leave data.per out.',
        ),
        (
            {"model": {"quantiles": [0.9]}},
            "model.quantiles is [0.9]; expected ascending numbers between 0 and 1, with 0.5 among them.",
        ),
    ],
)
def test_settings_that_do_not_fit_each_other(tables: Any, message: str) -> None:
    recipe = RegressRecipe.model_validate({"name": "x", **tables})
    with pytest.raises(RecipeError) as error:
        RegressTask.load(recipe, None)
    assert str(error.value) == message


def test_windows_are_for_targets_of_steps() -> None:
    with pytest.raises(RecipeError, match=r"^data.window is 5, which is for targets per step; leave it out.$"):
        task(examples(), data={"window": 5}, train={"carry_state": True})


def test_sequences_without_targets_or_with_other_ones() -> None:
    with pytest.raises(DataError) as error:
        task(examples().unlabelled())
    assert str(error.value) == (
        "row 0 and the other training sequences have no targets; expected a number for each. Tables: "
        "data.target_columns; arrays: y beside X; .ts: @targetLabel true; folders and text files: their names are "
        "numbers."
    )
    of = task(examples(targets=2))
    with pytest.raises(DataError) as error:
        of.encode(examples(targets=3))
    assert str(error.value) == "row 0 has 3 targets; the model was trained on 2: target 0, target 1."


def test_a_target_that_is_always_missing_or_never_changes() -> None:
    given = examples(per_step=True)
    nothing = Examples(given.inputs, [np.full(6, np.nan)] * 12, given.origins, per_step=True)
    with pytest.raises(DataError) as error:
        task(nothing)
    assert str(error.value) == "All training sequences lack the target 'target'; expected it in some. Leave it out."
    same = Examples(given.inputs, [7.0] * 12, given.origins)
    with pytest.warns(HoldfastWarning, match=r"^The target 'target' is 7 in all training sequences"):
        of = task(same)
    assert of.encoder.targets.scaling.std == (1.0,)


def test_a_model_of_numbers_reads_no_lines() -> None:
    with pytest.raises(DataError, match=r"^A model for the task 'regress' reads files, not lines of text."):
        task(examples()).from_lines(["1"])

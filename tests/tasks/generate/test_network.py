"""The language model: tied weights, and dropout of tokens, inputs and outputs."""

import pytest
import torch
from tests.tasks.generate.cat_texts import task, texts

from holdfast.errors import OptionError
from holdfast.tasks import model_file
from holdfast.tasks.generate.network import LanguageModel
from holdfast.tasks.generate.settings import GenerateModel


def test_tied_weights_are_one_tensor_that_both_layers_train(tmp_path):
    of = task(model={"tied": True})
    model = of.build()
    assert model.output.weight is model.embedding.weight
    assert sum(p.numel() for p in model.parameters()) == len(of.vocabulary) * 13 + 4 * 12 * (12 + 12 + 2)
    (batch,) = of.batches(texts("the cat sat")).epoch(0)
    loss = of.loss(model, batch).loss
    weight = model.embedding.weight
    (both,) = torch.autograd.grad(loss, weight)
    model.output.weight = torch.nn.Parameter(weight.detach().clone())
    apart = torch.autograd.grad(of.loss(model, batch).loss, [model.embedding.weight, model.output.weight])
    assert all(part.abs().sum() > 0 for part in apart)
    torch.testing.assert_close(both, apart[0] + apart[1])

    model = of.build()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    torch.autograd.backward(of.loss(model, batch).loss)
    optimizer.step()
    assert torch.equal(model.output.weight, model.embedding.weight)
    model_file.save(tmp_path / "model.safetensors", of, model)
    back, loaded = model_file.load(tmp_path / "model.safetensors")
    assert loaded.output.weight is loaded.embedding.weight
    assert torch.equal(loaded.output.weight, model.output.weight)
    assert back.vocabulary.tokens == of.vocabulary.tokens


def test_tied_sizes_must_agree():
    message = (
        r"^tied is on, embedding_size is 5, and the recurrent layers give 12 values; expected these to be equal\. "
        r"Set embedding_size = 0\.$"
    )
    with pytest.raises(OptionError, match=message):
        LanguageModel(9, GenerateModel(hidden_size=12, embedding_size=5, tied=True))
    assert LanguageModel(9, GenerateModel(hidden_size=[12, 7], tied=True)).output.in_features == 7
    projected = GenerateModel(hidden_size=12, options={"proj_size": 5}, tied=True)
    assert LanguageModel(9, projected).embedding.embedding_dim == 5


def test_embedding_dropout_drops_a_token_wherever_it_stands():
    model = LanguageModel(40, GenerateModel(hidden_size=6, embedding_dropout=0.4))
    tokens = torch.arange(40).repeat(3, 2)
    x, full = model._embedded(tokens), model.eval()._embedded(tokens)
    assert torch.equal(full, model.embedding(tokens))
    gone = (x == 0).all(-1)
    assert 5 < gone[0, :40].sum() < 27
    assert torch.equal(gone, gone[:1, :40].repeat(3, 2))
    torch.testing.assert_close(x[~gone], full[~gone] / 0.6)


@pytest.mark.parametrize("locked", [False, True])
def test_locked_dropout_of_input_and_output_is_the_same_at_every_step(locked):
    model = LanguageModel(9, GenerateModel(hidden_size=50, input_dropout=0.5, dropout=0.3, locked_dropout=locked))
    tokens = torch.randint(4, 9, (3, 20))
    _, _, outputs, dropped = model(tokens, return_outputs=True)
    for before, after, p in ((model.embedding(tokens), model._embedded(tokens), 0.5), (outputs, dropped, 0.3)):
        kept = after != 0
        assert kept.float().mean() == pytest.approx(1 - p, abs=0.12)
        torch.testing.assert_close(after[kept], before[kept] / (1 - p))
        assert torch.equal(kept, kept[:, :1].expand_as(kept)) == locked
        assert not torch.equal(kept[0], kept[1])


def test_output_dropout_is_dropout_unless_it_is_set():
    assert LanguageModel(9, GenerateModel(dropout=0.3)).output_dropout == 0.3
    assert LanguageModel(9, GenerateModel(dropout=0.3, output_dropout=0)).output_dropout == 0

import numpy as np
import pytest
import torch

from holdfast.data.vocabulary import UNKNOWN, Vocabulary
from holdfast.errors import DataError
from holdfast.tasks.embedding import TokenEmbedding, known_vectors
from holdfast.tasks.network_settings import HeadSettings

WORDS = Vocabulary.fit(["the house , the garden"], "words")


def settings(**values):
    return HeadSettings.model_validate({"embedding_size": 3, **values})


def test_padding_is_zero_and_stays_so():
    embedding = TokenEmbedding(5, settings())
    found = embedding(torch.tensor([[4, 0]]))
    assert found[0, 1].tolist() == [0, 0, 0]
    found.sum().backward()
    assert embedding.table.weight.grad[0].tolist() == [0, 0, 0]
    assert embedding.table.weight.grad[4].tolist() == [1, 1, 1]


def test_vectors_of_a_file_are_taken_and_the_rest_is_drawn_as_wide(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("the 10 -10 10\nabsent 1 1 1\n, -10 10 -10\n")
    given = known_vectors(path, WORDS)
    places = {token: index for index, token in enumerate(WORDS.tokens)}
    assert {index: vector.tolist() for index, vector in given.items()} == {
        places["the"]: [10, -10, 10],
        places[","]: [-10, 10, -10],
    }
    weight = TokenEmbedding(4000, settings(), given).table.weight
    assert weight[places["the"]].tolist() == [10, -10, 10]
    rest = [index for index in range(1, 4000) if index not in given]
    assert weight[rest].std().item() == pytest.approx(np.stack(list(given.values())).std(), rel=0.05)
    assert weight[0].tolist() == [0, 0, 0]
    drawn = TokenEmbedding(4000, settings(embedding_std=0.25)).table.weight
    assert drawn.std().item() == pytest.approx(0.25, rel=0.05)


def test_a_file_without_any_of_the_words_is_an_error(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("The 1 2\n")
    with pytest.raises(DataError) as error:
        known_vectors(path, WORDS)
    assert str(error.value) == (
        f"{path} has a vector for none of the 4 tokens of the training texts, such as "
        f"the, {', '.join(WORDS.tokens[5:7])}. Check model.embedding_file; most such files have lower-case tokens "
        "only: set data.lower = true."
    )


def test_frozen_vectors_are_not_trained():
    embedding = TokenEmbedding(5, settings(freeze_embedding=True))
    assert not any(parameter.requires_grad for parameter in embedding.parameters())


def test_dropped_tokens_become_the_unknown_one_in_training_alone():
    embedding = TokenEmbedding(9, settings(token_dropout=0.25))
    ids = torch.full((100, 100), 7)
    ids[:, 50:] = 0
    found = embedding(ids)
    unknown = (found == embedding.table.weight[UNKNOWN]).all(-1)
    assert unknown[:, :50].float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not unknown[:, 50:].any()
    assert torch.equal(embedding.eval()(ids), embedding.table.weight[ids])


def test_values_are_dropped_in_training_alone():
    embedding = TokenEmbedding(9, settings(input_dropout=0.25))
    ids = torch.full((100, 100), 7)
    assert (embedding(ids) == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(embedding.eval()(ids), embedding.table.weight[ids])

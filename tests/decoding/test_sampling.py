import numpy as np
import pytest
import torch

from holdfast.decoding.sampling import WINDOW, Sampling, draw, generate, uniform
from holdfast.errors import OptionError, ShapeError

P = [0.1, 0.4, 0.05, 0.3, 0.15]  # of five tokens; from the likeliest down: 1, 3, 4, 0, 2


def kept(**options):
    scores = torch.tensor([P], dtype=torch.float64).log() + 7  # what is added to all scores changes nothing
    return Sampling(**options).probabilities(scores)[0].tolist()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, P),
        ({"top_k": 5}, P),
        ({"top_k": 9}, P),
        ({"top_k": 1}, [0, 1, 0, 0, 0]),
        ({"top_k": 3}, [0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85]),
        ({"top_p": 0.39}, [0, 1, 0, 0, 0]),
        ({"top_p": 0.41}, [0, 0.4 / 0.7, 0, 0.3 / 0.7, 0]),
        ({"top_p": 0.69}, [0, 0.4 / 0.7, 0, 0.3 / 0.7, 0]),
        ({"top_p": 0.84}, [0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85]),
        ({"top_p": 0.96}, P),
        # of the three likeliest, 0.4 / 0.85 = 0.47 and 0.7 / 0.85 = 0.82
        ({"top_k": 3, "top_p": 0.46}, [0, 1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.81}, [0, 0.4 / 0.7, 0, 0.3 / 0.7, 0]),
        ({"temperature": 0}, [0, 1, 0, 0, 0]),
        ({"temperature": 0.5}, [p * p / sum(q * q for q in P) for p in P]),
        ({"temperature": 2}, [p**0.5 / sum(q**0.5 for q in P) for p in P]),
        # squares: .16, .09 of .2825 in all
        ({"temperature": 0.5, "top_p": 0.6}, [0, 0.16 / 0.25, 0, 0.09 / 0.25, 0]),
    ],
)
def test_what_is_kept_of_a_small_distribution(options, expected):
    assert kept(**options) == pytest.approx(expected, abs=1e-12)


def test_rows_are_restricted_each_by_itself():
    flat, sharp = [0.25, 0.25, 0.25, 0.25], [0.97, 0.01, 0.01, 0.01]
    p = Sampling(top_p=0.9).probabilities(torch.tensor([flat, sharp]).log())
    assert p[0].tolist() == pytest.approx(flat)
    assert p[1].tolist() == [1, 0, 0, 0]


def test_of_equal_scores_the_lower_number_comes_first():
    scores = torch.zeros(1, 6)
    assert Sampling(top_k=2).probabilities(scores)[0].tolist() == [0.5, 0.5, 0, 0, 0, 0]
    assert Sampling(temperature=0).probabilities(scores)[0].tolist() == [1, 0, 0, 0, 0, 0]


def test_a_barred_token_has_no_probability():
    scores = torch.tensor([[-torch.inf, 1.0, 2.0, -torch.inf]])
    for sampling in (Sampling(), Sampling(top_k=3), Sampling(top_p=0.999), Sampling(temperature=0)):
        p = sampling.probabilities(scores)[0]
        assert p[0] == p[3] == 0
        assert p.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, r"^temperature is -0\.1; expected 0 \(always the most likely token\) or more\.$"),
        ({"top_k": -1}, r"^top_k is -1; expected a number of tokens, or 0 for all\.$"),
        ({"top_p": 0}, r"^top_p is 0; expected a probability above 0, up to 1 for all tokens\.$"),
        ({"top_p": 1.5}, r"^top_p is 1\.5; expected a probability above 0, up to 1 for all tokens\.$"),
    ],
)
def test_values_out_of_range(options, message):
    with pytest.raises(OptionError, match=message):
        Sampling(**options)


def test_the_token_drawn_is_the_one_where_the_sum_passes_the_number():
    p = torch.tensor([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]]).expand(6, -1)
    numbers = torch.tensor([0.0, 0.2499, 0.25, 0.7499, 0.75, 1 - 2**-24], dtype=torch.float64)
    assert draw(p, numbers).tolist() == [1, 1, 3, 3, 4, 4]


def test_draws_follow_the_probabilities():
    p = torch.tensor([P])
    count = 200_000
    drawn = draw(p.expand(count, -1), uniform(3, [(0,)], count)[0])
    found = torch.bincount(drawn, minlength=5) / count
    spread = (p[0] * (1 - p[0]) / count).sqrt()  # of a binomial distribution
    assert ((found - p[0]).abs() < 4 * spread).all()


def test_the_numbers_of_a_sample_depend_on_seed_and_key_alone():
    keys = [(0, 9), (1, 9), (1, 8)]
    several = uniform(5, keys, 8)
    assert torch.equal(uniform(5, [(1, 8), (0, 9)], 8), several[[2, 0]])
    assert torch.equal(uniform(5, [(1, 9)], 4), several[1:2, :4])
    assert len({tuple(row.tolist()) for row in [*several, *uniform(6, keys, 8)]}) == 6
    assert uniform(5, [], 3).shape == (0, 3)
    assert several.min() >= 0
    assert several.max() < 1


class Counting(torch.nn.Module):
    """Says with near certainty that the token after is the sum of all tokens so far, modulo 10; keeps that sum."""

    def __init__(self):
        super().__init__()
        self.widths = []

    def forward(self, tokens, lengths, state):
        self.widths.append(tokens.shape[1])
        if lengths is not None:
            tokens = tokens * (torch.arange(tokens.shape[1]) < lengths[:, None])
        before = torch.zeros(len(tokens), dtype=torch.int64) if state is None else state
        sums = (before[:, None] + tokens.cumsum(1)) % 10
        return torch.nn.functional.one_hot(sums, 10) * 50.0, sums[:, -1]


def go_on(prompts, length=4, **options):
    model = Counting()
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(p) for p in prompts], batch_first=True, padding_value=7)
    numbers = uniform(0, [(k,) for k in range(len(prompts))], length)
    return generate(model, tokens, lengths, numbers, Sampling(), **options), model.widths


def test_each_prompt_is_gone_on_from_at_its_own_end():
    found, widths = go_on([[1, 2], [3], [1, 1, 1, 1]])
    assert found == [[3, 6, 2, 4], [3, 6, 2, 4], [4, 8, 6, 2]]
    assert widths == [4, 1, 1, 1]  # none after the last token


def test_a_sample_ends_with_the_end_and_a_barred_token_is_not_drawn():
    assert go_on([[1, 2], [1]], end=2)[0] == [[3, 6], [1]]
    found, widths = go_on([[1], [2]], end=2, length=50)
    assert found == [[1], []]  # 1 + 1 = 2; and 2
    assert len(widths) == 2
    assert 3 not in go_on([[1, 2]], never={3})[0][0]
    assert go_on([[1, 2]], length=0)[0] == [[]]


@pytest.mark.parametrize("size", [WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW])
def test_a_long_prompt_is_read_in_windows(size):
    rng = np.random.default_rng(size)
    long = rng.integers(0, 10, size).tolist()
    found, widths = go_on([long, [4], long[:WINDOW]], length=1)
    assert found == [[sum(long) % 10], [4], [sum(long[:WINDOW]) % 10]]
    assert max(widths) <= WINDOW


def test_an_empty_prompt_is_refused():
    with pytest.raises(ShapeError, match=r"^A prompt has no tokens; expected at least one, such as the token that"):
        go_on([[1], []])

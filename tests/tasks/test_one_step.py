"""Single steps by a stream against calls of the layers: their outputs, other rows, and when the layers compute them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdfast
from holdfast.errors import ShapeError
from holdfast.tasks import one_step as module
from holdfast.tasks.one_step import LEAST_STEPS, MOST_ROWS, OneStep, one_step

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

WIDTH, TOKENS = 6, 11


class Steps(nn.Module):
    """An embedding, layers and a linear layer, called as a task calls its own."""

    def __init__(self, kind: str = "LSTM", hidden: Any = 9, layers: int = 1, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(TOKENS, WIDTH)
        self.layers = getattr(holdfast, kind)(WIDTH, hidden, num_layers=layers, **{"batch_first": True, **options})
        self.output = nn.Linear(self.layers.output_size, TOKENS)

    def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        outputs, state = self.layers(self.embedding(ids), state)
        return self.output(outputs), state


def streamed(model: nn.Module, rows: int = 2, steps: int = LEAST_STEPS, **names: str) -> OneStep | None:
    return one_step(model, "layers", rows=rows, steps=steps, **{"embedding": "embedding", "output": "output", **names})


def begun(model: Steps, rows: int) -> Any:
    """The state after three steps, as a prompt or a source leaves it."""
    return model(torch.arange(rows * 3).view(rows, 3) % TOKENS)[1]


def check(model: Steps, stepped: OneStep, selections: list[list[int]], tolerance: float = 1e-5) -> None:
    """Steps both ways; between two steps, the sequences of a selection go on."""
    rows = len(selections[0])
    state = expected = begun(model, rows)
    for number, selection in enumerate(selections):
        chosen = torch.tensor(selection, dtype=torch.int64)
        expected, state = module.select_rows(expected, chosen), stepped.select(state, chosen)
        if not selection:  # nobody goes on, and nobody takes a step
            break
        ids = (torch.arange(len(chosen)) * 5 + number)[:, None] % TOKENS
        (scores, expected), (again, state) = model(ids, expected), stepped(ids, state)
        torch.testing.assert_close(again, scores, rtol=tolerance, atol=tolerance)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"layers": 3, "residual": True, "dropout": 0.5},
    {"hidden": [9, 5], "layer_norm": True},
    {"kind": "GRU", "layers": 2, "reset_after": False},
    {"kind": "RNN", "activation": "relu"},
    {"proj_size": 4, "peepholes": True, "zoneout_h": 0.2, "weight_dropout": 0.5},
    {"engine": "native", "recurrent_dropout": 0.3},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@torch.inference_mode()
def test_the_outputs_are_those_of_the_layers(options: Any) -> None:
    model = Steps(**options).eval()
    for rows in (1, 3, 12):
        stepped = streamed(model, rows)
        assert isinstance(stepped, OneStep)
        check(model, stepped, [list(range(rows))] * 4)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@torch.inference_mode()
def test_sequences_are_reordered_repeated_and_left_out(options: Any) -> None:
    """From three sequences to their copies, and to ever fewer, for which a smaller stream is made."""
    model = Steps(**options).eval()
    stepped = streamed(model, 40)
    assert stepped is not None
    spread = [0, 0, 2, 1, 1, 2, 0, 1, 2, 0] * 4
    check(model, stepped, [[2, 0, 1], spread, [39, 3, 7, 7, 0, 1, 2], [6, 2, 4], [1], []])
    check(model, stepped, [list(range(50))] * 2)  # and more than the stream had


@torch.inference_mode()
def test_a_large_stream_half_empty_gives_way_to_a_smaller_one() -> None:
    model = Steps().eval()
    stepped = streamed(model, 64)
    assert stepped is not None
    batches = []
    for rows in (64, 33, 32, 9, 1, 40, 20):
        check(model, stepped, [list(range(rows))])
        batches.append(stepped._stream.batch)
    assert batches == [64, 64, 32, 32, 32, 40, 20]


@torch.inference_mode()
def test_without_an_embedding_vectors_are_read() -> None:
    model = Steps().eval()
    stepped = streamed(model, embedding="", output="")
    assert stepped is not None
    x, state = torch.randn(2, 1, WIDTH), begun(model, 2)
    expected, _ = model.layers(x, state)
    torch.testing.assert_close(stepped(x, state)[0], expected, rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_float64_is_computed_in_float64() -> None:
    model = Steps(layers=2).double().eval()
    stepped = streamed(model, 3)
    assert stepped is not None
    check(model, stepped, [[0, 1, 2], [2, 2]], tolerance=1e-13)


@torch.inference_mode()
def test_a_layer_above_of_another_kind_is_called() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    model = Steps().eval()
    model.output = Doubled(9, TOKENS).eval()
    stepped = streamed(model)
    assert stepped is not None
    check(model, stepped, [[0, 1]] * 2)


@torch.inference_mode()
def test_a_state_is_of_no_use_after_the_step_that_used_it() -> None:
    for kind in ("LSTM", "GRU"):
        model = Steps(kind).eval()
        stepped = streamed(model)
        assert stepped is not None
        ids = torch.tensor([[1], [2]])
        _, used = stepped(ids, begun(model, 2))
        stepped(ids, used)
        with pytest.raises(ShapeError, match=r"^The stream's state .*expected"):
            stepped(ids, used)


@torch.inference_mode()
def test_layers_compute_what_a_stream_does_not() -> None:
    assert streamed(Steps().eval()) is not None
    assert streamed(Steps().eval(), rows=MOST_ROWS + 1) is None
    assert streamed(Steps().eval(), rows=0) is None
    assert streamed(Steps().eval(), steps=LEAST_STEPS - 1) is None
    for options in (
        {"engine": "reference"},
        {"bidirectional": True},
        {"reverse": True},
        {"batch_first": False},
        {"activation": "mish"},
        {"activation": torch.sin},
    ):
        assert streamed(Steps(**options).eval()) is None, options
    assert streamed(Steps().to(torch.bfloat16).eval()) is None
    assert streamed(Steps().to("meta").eval()) is None
    mixed = Steps().eval()
    mixed.layers.double()
    assert streamed(mixed) is None
    assert streamed(mixed, embedding="") is not None  # only the layers are the stream's
    plain = Steps().eval()
    plain.layers = nn.LSTM(WIDTH, 9, batch_first=True).eval()  # type: ignore[assignment]
    assert streamed(plain) is None


@torch.inference_mode()
def test_layers_compute_what_somebody_watches_or_changes() -> None:
    class Own(holdfast.LSTM):
        def forward(self, *arguments: Any, **named: Any) -> Any:
            return super().forward(*arguments, **named)

    model = Steps().eval()
    model.layers = Own(WIDTH, 9, batch_first=True).eval()
    assert streamed(model) is None
    for name in ("layers", "embedding"):
        hooked = Steps().eval()
        handle = hooked.get_submodule(name).register_forward_hook(lambda *_: None)
        assert streamed(hooked) is None, name
        handle.remove()
        assert streamed(hooked) is not None
    normed = Steps().eval()
    normed.embedding.max_norm = 1.0
    assert streamed(normed) is None
    with nn.modules.module.register_module_forward_pre_hook(lambda *_: None):
        assert streamed(Steps().eval()) is None


def test_layers_compute_calls_that_are_not_for_the_values_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Steps().eval()
    assert streamed(model) is None  # gradients
    with torch.no_grad():
        assert streamed(model) is not None
        with torch.autocast("cpu", torch.bfloat16):
            assert streamed(model) is None
        assert torch.func.vmap(lambda x: x + (streamed(model) is not None))(torch.zeros(2)).tolist() == [0, 0]
        model.embedding.train()
        assert streamed(model) is None
        model.eval()
        monkeypatch.setattr("holdfast.engines._SWITCHED_OFF", frozenset({"native"}))
        assert streamed(model) is None


@torch.inference_mode()
def test_the_steps_have_the_weights_that_the_model_has_when_they_begin() -> None:
    model = Steps().eval()
    streamed(model)
    for parameter in model.parameters():
        parameter.data.mul_(1.5)
    stepped = streamed(model)
    assert stepped is not None
    check(model, stepped, [[0, 1]] * 3)

"""Two programs of a tutorial on Keras's LSTM, with nothing but their import lines changed."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")

from keras import Input, Model  # noqa: E402  (keras may be missing)

from holdfast.keras.layers import LSTM, Dense  # noqa: E402

KERNEL = [[2, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0]]
RECURRENT = [
    [1, 0, 0, 1, 2, 1, 0, 1, 2, 0, 1, 0],
    [1, 1, 0, 0, 2, 1, 0, 1, 2, 2, 0, 0],
    [1, 0, 1, 2, 0, 1, 0, 1, 1, 0, 1, 0],
]
BIAS = [3, 1, 0, 1, 1, 0, 0, 1, 0, 2, 0, 0]


def test_the_layer_has_the_shapes_and_parameters_of_its_summary() -> None:
    model = keras.Sequential([Input((3, 2)), LSTM(3, return_sequences=True), Dense(1)])
    assert [layer.count_params() for layer in model.layers] == [72, 4]
    assert model.count_params() == 76
    assert [layer.output.shape for layer in model.layers] == [(None, 3, 3), (None, 3, 1)]
    shown = io.StringIO()
    model.summary(print_fn=lambda text: shown.write(text))
    assert "(None, 3, 3)" in shown.getvalue()
    assert "76" in shown.getvalue()


def test_the_layer_is_checked_by_hand() -> None:
    inputs = Input((1, 2))
    layer = LSTM(3, activation="linear", recurrent_activation="linear", return_state=True)
    model = Model(inputs, layer(inputs))
    layer.set_weights([np.array(each, "float32") for each in (KERNEL, RECURRENT, BIAS)])
    assert [weight.shape for weight in layer.get_weights()] == [(2, 12), (3, 12), (12,)]
    output, h, c = model.predict(np.array([[[1, 0]]], "float32"), verbose=0)
    assert output.tolist() == h.tolist() == [[0, 4, 0]]
    assert c.tolist() == [[0, 4, 1]]


WORDS = {"go.": "va !", "run!": "cours !", "hi.": "salut !", "stop!": "stop !", "hello.": "bonjour !", "yes.": "oui !"}


class Translator:
    """Character by character: an encoder's states start a decoder, taught with the right characters."""

    def __init__(self, pairs: dict[str, str]) -> None:
        self.targets = [f"\t{text}\n" for text in pairs.values()]
        self.sources = list(pairs)
        self.read = sorted(set("".join(self.sources)))
        self.written = sorted(set("".join(self.targets)))
        encoder_inputs = Input((None, len(self.read)))
        _, h, c = LSTM(64, return_state=True)(encoder_inputs)
        decoder_inputs = Input((None, len(self.written)))
        decoder = LSTM(64, return_sequences=True, return_state=True)
        outputs, _, _ = decoder(decoder_inputs, initial_state=[h, c])
        dense = Dense(len(self.written), activation="softmax")
        self.model = Model([encoder_inputs, decoder_inputs], dense(outputs))
        self.encoder = Model(encoder_inputs, [h, c])
        state = [Input((64,)), Input((64,))]
        outputs, *new = decoder(decoder_inputs, initial_state=state)
        self.decoder = Model([decoder_inputs, *state], [dense(outputs), *new])

    @staticmethod
    def encoded(texts: list[str], alphabet: list[str], steps: int) -> Any:
        found = np.zeros((len(texts), steps, len(alphabet)), "float32")
        for row, text in enumerate(texts):
            for step, character in enumerate(text):
                found[row, step, alphabet.index(character)] = 1
        return found

    def train(self, epochs: int) -> float:
        x = self.encoded(self.sources, self.read, 6)
        taught = self.encoded(self.targets, self.written, 12)
        wanted = self.encoded([text[1:] for text in self.targets], self.written, 12)
        self.model.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy")
        history = self.model.fit([x, taught], wanted, batch_size=6, epochs=epochs, verbose=0)
        return float(history.history["loss"][-1])

    def translate(self, text: str) -> str:
        state = self.encoder.predict(self.encoded([text], self.read, 6), verbose=0)
        found = "\t"
        while len(found) < 14 and not found.endswith("\n"):
            step = self.encoded([found[-1]], self.written, 1)
            likely, *state = self.decoder.predict([step, *state], verbose=0)
            found += self.written[int(likely[0, -1].argmax())]
        return found.strip()


def test_sequence_to_sequence_learns_with_teacher_forcing_and_answers_step_by_step() -> None:
    keras.utils.set_random_seed(1)
    translator = Translator(WORDS)
    translator.train(epochs=80)
    assert {text: translator.translate(text) for text in WORDS} == WORDS

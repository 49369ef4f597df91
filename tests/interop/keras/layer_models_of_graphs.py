"""Models of layers with several inputs, attention, models within models, and operations."""

from __future__ import annotations

from typing import Any

from tests.interop.keras.layer_models import case, words
from tests.interop.keras.models import L, chain, keras


@case
def merged() -> Any:
    x = keras.Input((None, 3))
    one, two = L.GRU(4, return_sequences=True)(x), L.LSTM(4, return_sequences=True)(x)
    last = L.GRU(4)(x)
    y = [kind()([one, two]) for kind in (L.Add, L.Average, L.Multiply, L.Subtract, L.Maximum, L.Minimum)]
    y += [L.Multiply()([one, last]), L.Add()([one, two, one]), L.Multiply()([one, L.Dense(1)(two)])]
    return keras.Model(x, [L.Concatenate()(y), L.GRU(2)(L.Concatenate(axis=1)([one, two, one]))])


@case
def merged_under_masks() -> Any:
    x, y, a, b = words(2)
    bare = L.Embedding(9, 4)(x)
    kinds = (L.Add, L.Multiply, L.Maximum, L.Concatenate)
    merged = [kind()([a, b]) for kind in kinds] + [kind()([a, bare]) for kind in kinds]
    merged += [L.Concatenate(axis=1)([a, b]), L.Concatenate(axis=1)([a, bare]), L.Subtract()([a, a])]
    return keras.Model([x, y], [L.LSTM(2, return_sequences=True)(one) for one in merged])


@case
def multiplied_under_masks() -> Any:
    x, y, a, b = words(2)
    return keras.Model(
        [x, y], [L.GlobalMaxPooling1D()(L.Multiply()(pair)) for pair in ([a, b], [a, L.Embedding(9, 4)(y)])]
    )


@case
def products() -> Any:
    x = keras.Input((4, 3))
    one, two = L.GRU(5, return_sequences=True)(x), L.LSTM(5, return_sequences=True)(x)
    last, other = L.GRU(5)(x), L.LSTM(5)(x)
    pairs = ((2, [one, two]), (1, [one, two]), ((2, 1), [one, last]), ((1, 2), [last, two]), (1, [last, other]))
    return keras.Model(x, [L.Dot(axes, normalize=n)(pair) for axes, pair in pairs for n in (False, True)])


@case
def softmax_along_steps() -> Any:
    x = keras.Input((None, 3))
    y = L.LSTM(4, return_sequences=True)(x)
    weights = L.Softmax(axis=1)(L.Dense(1, activation="tanh")(y))
    return keras.Model(x, L.Flatten()(L.Dot(1)([y, weights])))


@case
def softmax_by_permutation() -> Any:
    x = keras.Input((5, 3))
    y = L.LSTM(4, return_sequences=True)(x)
    weights = L.Activation("softmax")(L.Flatten()(L.Dense(1, activation="tanh")(y)))
    return keras.Model(x, L.GRU(2)(L.Multiply()([y, L.Permute((2, 1))(L.RepeatVector(4)(weights))])))


@case
def attentions() -> Any:
    x, y = keras.Input((None, 3)), keras.Input((None, 3))
    q, v = L.LSTM(4, return_sequences=True)(x), L.GRU(4, return_sequences=True)(y)
    found = [
        L.Attention()([q, v]),
        L.Attention(use_scale=True, dropout=0.2)([q, v, L.Dense(4)(v)]),
        L.Attention(score_mode="concat")([q, v]),
        L.Attention(score_mode="concat", use_scale=True)([q, v], use_causal_mask=True),
        L.AdditiveAttention()([q, v]),
        L.AdditiveAttention(use_scale=False)([q, v]),
        *L.Attention()([q, v], return_attention_scores=True),
    ]
    return keras.Model([x, y], [*found, L.GlobalAveragePooling1D()(L.Concatenate()([q, found[0]]))])


@case
def attentions_under_masks() -> Any:
    x, y, a, b = words(2)
    q, v = L.LSTM(4, return_sequences=True)(a), L.GRU(4, return_sequences=True)(b)
    bare = L.Embedding(9, 4)(x)
    found = [kind()(pair) for kind in (L.Attention, L.AdditiveAttention) for pair in ([q, v], [bare, v], [q, bare])]
    found += [L.Attention()([q, q], use_causal_mask=True)]
    return keras.Model([x, y], [*found, *(L.GlobalAveragePooling1D()(one) for one in found)])


@case
def heads() -> Any:
    x, y = keras.Input((None, 3)), keras.Input((None, 5))
    q, v = L.LSTM(4, return_sequences=True)(x), L.GRU(6, return_sequences=True)(y)
    found = [
        L.MultiHeadAttention(2, 3)(q, v),
        L.MultiHeadAttention(3, 2, value_dim=4, use_bias=False, dropout=0.1)(q, v, L.Dense(2)(v)),
        L.MultiHeadAttention(1, 2, output_shape=7)(q, q, use_causal_mask=True),
        *L.MultiHeadAttention(2, 3, attention_axes=1)(q, value=v, return_attention_scores=True),
    ]
    return keras.Model([x, y], [*found, L.GRU(2)(L.LayerNormalization()(L.Add()([q, found[0]])))])


@case
def heads_under_masks() -> Any:
    x, y, a, b = words(2)  # each used once: on its way, Keras takes the masks from what the layer is called with
    own = L.Embedding(9, 4, mask_zero=True)(y)
    causal = L.MultiHeadAttention(2, 3)(own, own, use_causal_mask=True)
    return keras.Model([x, y], [L.LSTM(2)(L.MultiHeadAttention(2, 3)(a, b)), L.GRU(2)(causal)])


def encoder(name: str, units: int = 4) -> Any:
    return keras.Sequential([keras.Input((None, 4)), L.Dense(4), L.BatchNormalization(), L.Dense(units)], name=name)


@case
def models_within() -> Any:
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3), keras.Sequential([L.Dense(4), L.Dense(2)], name="deep")])
    x = keras.Input((None, 4))
    h = keras.Input((None, 4))
    states = keras.Model(h, L.LSTM(4, return_sequences=True, return_state=True)(h), name="states")
    y, one, two = states(encoder("lift")(x))
    return keras.Model(x, [L.TimeDistributed(inner)(y), L.GRU(3)(y, initial_state=L.Dense(3)(one)), two])


@case
def models_within_a_chain() -> Any:
    cnn = keras.Sequential([L.Conv1D(4, 3, padding="same"), L.BatchNormalization(), L.MaxPooling1D(2)], name="cnn")
    x = keras.Input((4, 4))
    rnn = keras.Model(x, L.Bidirectional(L.LSTM(3))(x), name="rnn")
    return chain(cnn, rnn, L.Dense(2), shape=(8, 3))


@case
def models_within_under_masks() -> Any:
    x, a = words()
    h = keras.Input((None, 4))
    inner = keras.Model(h, [L.GRU(3)(L.Dense(4)(h)), L.LSTM(4, return_sequences=True)(h)], name="inner")
    one, two = inner(a)
    return keras.Model(x, [one, two])


@case
def decoders_under_masks() -> Any:
    """Keras 3 keeps a mask from a layer that is called with a state, unless it is called with the mask as well."""
    x, y, a, b = words(2)
    _, h, c = L.LSTM(4, return_state=True)(a)
    mask = L.Embedding(9, 4, mask_zero=True).compute_mask(y)
    plain = L.LSTM(4, return_sequences=True)(b, initial_state=[h, c])
    both = L.Bidirectional(L.GRU(4, return_sequences=True))(b, initial_state=[h, c])
    told = L.LSTM(4, return_sequences=True)(b, initial_state=[h, c], mask=mask)
    return keras.Model([x, y], [plain, both, told, L.GRU(2)(plain), L.GlobalAveragePooling1D()(both)])


@case
def used_twice() -> Any:
    x, y, a, b = words(2)
    lstm, both, norm = L.LSTM(3, return_sequences=True), L.Bidirectional(L.GRU(2)), L.LayerNormalization()
    lift = encoder("lift")
    one, two = norm(lstm(lift(L.Dense(4)(a)))), norm(lstm(lift(L.Dense(4)(b))))
    return keras.Model([x, y], [both(one), both(two), L.Subtract()([L.GRU(2)(one), L.GRU(2)(two)])])


@case
def several_ends() -> Any:
    x, y = keras.Input((None, 3)), keras.Input((6,))
    h = L.LSTM(4, return_sequences=True)(L.Conv1D(4, 2)(x))
    both = L.Concatenate()([L.GlobalMaxPooling1D()(h), L.Dense(3)(y)])
    return keras.Model([x, y], [L.Dense(2, activation="softmax")(both), L.TimeDistributed(L.Dense(1))(h)])


@case
def operations() -> Any:
    x = keras.Input((None, 3))
    one, two = L.LSTM(4, return_sequences=True)(x), L.GRU(4, return_sequences=True)(x)
    y = one + two * one - two
    return keras.Model(x, [y[:, -1], y[:, 1:, :2], y[:, ::2], L.Dense(2)(y[:, 0, :])])

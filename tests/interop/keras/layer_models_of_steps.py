"""Models of layers that work along the steps: convolutions, poolings, normalisations, masks, TimeDistributed."""

from __future__ import annotations

from typing import Any

from tests.interop.keras.layer_models import case
from tests.interop.keras.models import L, chain, keras


@case
def convolutions() -> Any:
    return chain(
        L.Conv1D(4, 3, padding="same", activation="relu"),
        L.Conv1D(5, 2, padding="causal", dilation_rate=2),
        L.Conv1D(6, 2, strides=2, padding="same", use_bias=False),
        L.Conv1D(6, 1, groups=2, activation="softmax"),
        L.LSTM(3),
        shape=(None, 3),
    )


@case
def convolutions_strided() -> Any:
    x = keras.Input((11, 3))
    y = [L.Conv1D(4, k, strides=s, padding=p)(x) for k, s, p in ((3, 2, "valid"), (4, 3, "same"), (3, 2, "causal"))]
    return keras.Model(x, [L.GRU(2)(one) for one in y])


@case
def convolutions_of_each_channel() -> Any:
    return chain(
        L.DepthwiseConv1D(3, depth_multiplier=2, padding="same", activation="tanh"),
        L.SeparableConv1D(5, 3, depth_multiplier=2, dilation_rate=2, padding="same"),
        L.SeparableConv1D(5, 2, strides=2, use_bias=False),
        L.GRU(3),
        shape=(9, 3),
    )


@case
def convolutions_transposed() -> Any:
    x = keras.Input((6, 3))
    settings = ((3, 2, "valid"), (3, 2, "same"), (2, 3, "same"), (4, 1, "same"), (5, 3, "same"))
    return keras.Model(x, [L.LSTM(2)(L.Conv1DTranspose(4, k, strides=s, padding=p)(x)) for k, s, p in settings])


@case
def poolings() -> Any:
    x = keras.Input((11, 3))
    kinds = (L.MaxPooling1D, L.AveragePooling1D)
    settings = ((2, None, "valid"), (3, 2, "same"), (5, 1, "same"), (3, 3, "valid"))
    pooled = [kind(size, strides=s, padding=p)(x) for kind in kinds for size, s, p in settings]
    return keras.Model(x, [L.LSTM(2)(one) for one in pooled])


@case
def poolings_of_all_steps() -> Any:
    x = keras.Input((None, 3))
    y = L.GRU(4, return_sequences=True)(x)
    z = L.GRU(4, return_sequences=True)(L.Masking(-1.0)(x))
    kinds = (L.GlobalMaxPooling1D, L.GlobalAveragePooling1D)
    pooled = [kind(keepdims=keep)(one) for kind in kinds for keep in (True, False) for one in (y, z)]
    return keras.Model(x, [*pooled[:2], *pooled[4:6], L.Concatenate()(pooled[2:4]), *pooled[6:]])


@case
def channels_first() -> Any:
    first = {"data_format": "channels_first"}
    x = keras.Input((3, 8))
    y = L.ZeroPadding1D((1, 2), **first)(L.MaxPooling1D(2, padding="same", **first)(x))
    whole = [L.GlobalMaxPooling1D(**first)(y), L.GlobalAveragePooling1D(keepdims=True, **first)(y)]
    return keras.Model(x, [L.GRU(2)(L.Permute((2, 1))(y)), *whole, L.Flatten(**first)(y)])


@case
def steps_more_and_fewer() -> Any:
    return chain(
        L.ZeroPadding1D(2), L.UpSampling1D(3), L.Cropping1D((1, 4)), L.LSTM(3, return_sequences=True), L.Cropping1D(2)
    )


@case
def batch_normalisations() -> Any:
    return chain(
        L.BatchNormalization(),
        L.BatchNormalization(axis=1, epsilon=0.1, scale=False),
        L.LSTM(3),
        L.BatchNormalization(center=False),
        L.BatchNormalization(scale=False, center=False),
        shape=(5, 3),
    )


@case
def layer_normalisations() -> Any:
    return chain(
        L.LayerNormalization(),
        L.LayerNormalization(axis=[1, 2], epsilon=0.1, scale=False),
        L.LayerNormalization(center=False),
        L.LayerNormalization(rms_scaling=True),
        L.RMSNormalization(),
        L.LSTM(3, return_sequences=True),
        L.LayerNormalization(scale=False, center=False),
        shape=(5, 3),
    )


@case
def masks_beyond_what_keeps_them() -> Any:
    return chain(
        L.Embedding(9, 4, mask_zero=True),
        L.BatchNormalization(),
        L.LayerNormalization(),
        L.GaussianNoise(0.3),
        L.GaussianDropout(0.2),
        L.Dense(4, activation="relu"),
        L.ActivityRegularization(0.1),
        L.GRU(3, return_sequences=True),
        L.GlobalAveragePooling1D(),
        shape=(None,),
    )


@case
def masks_beyond_what_drops_them() -> Any:
    return chain(
        L.Embedding(9, 4, mask_zero=True),
        L.Conv1D(4, 3, padding="same"),
        L.MaxPooling1D(2, strides=1, padding="same"),
        L.GRU(3, return_sequences=True),
        L.GlobalAveragePooling1D(),
        shape=(None,),
    )


@case
def flattened() -> Any:
    return chain(L.GRU(3, return_sequences=True), L.Permute((2, 1)), L.Flatten(), L.Dense(2), shape=(4, 3))


@case
def every_step() -> Any:
    return chain(
        L.TimeDistributed(L.Conv1D(4, 3, padding="same", activation="relu")),
        L.TimeDistributed(L.MaxPooling1D(2)),
        L.TimeDistributed(L.BatchNormalization()),
        L.TimeDistributed(L.LayerNormalization()),
        L.TimeDistributed(L.Dropout(0.1)),
        L.TimeDistributed(L.LSTM(3)),
        L.TimeDistributed(L.RepeatVector(2)),
        L.TimeDistributed(L.TimeDistributed(L.Dense(2))),
        L.TimeDistributed(L.TimeDistributed(L.LayerNormalization())),
        L.TimeDistributed(L.TimeDistributed(L.RepeatVector(2))),
        L.TimeDistributed(L.TimeDistributed(L.Flatten())),
        L.TimeDistributed(L.Flatten()),
        L.LSTM(2),
        shape=(None, 4, 3),
    )


@case
def every_image() -> Any:
    return chain(
        L.TimeDistributed(L.Conv2D(4, (3, 2), strides=(2, 1), padding="same", activation="relu")),
        L.TimeDistributed(L.MaxPooling2D()),
        L.TimeDistributed(L.BatchNormalization()),
        L.TimeDistributed(L.ZeroPadding2D(((1, 0), (2, 1)))),
        L.TimeDistributed(L.DepthwiseConv2D(2)),
        L.TimeDistributed(L.UpSampling2D((2, 1))),
        L.TimeDistributed(L.Cropping2D(1)),
        L.TimeDistributed(L.GlobalAveragePooling2D()),
        L.GRU(2),
        shape=(3, 8, 6, 2),
    )

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from holdfast.errors import ConversionError
from holdfast.tf1 import graph as tf
from holdfast.tf1.graph import names

ROOT = Path(__file__).resolve().parents[3]
Program = Callable[..., ModuleType]


def test_a_refused_name_may_be_imported_and_not_used(program: Program) -> None:
    with pytest.raises(ConversionError) as error:
        program("""
            import tensorflow as tf
            from tensorflow.contrib.seq2seq import AttentionWrapper, BahdanauAttention
            wanted = tf.contrib.timeseries.TrainEvalFeatures.TIMES

            mechanism = BahdanauAttention(64, None)
        """)
    assert str(error.value) == (
        "tf.contrib.seq2seq.BahdanauAttention (line 6 of program.py) does not run on Holdfast. Write encoder and "
        "decoder with tf.nn.dynamic_rnn, or train them, with attention, by `holdfast train`: docs/translate.md."
    )


def test_a_class_of_the_program_cannot_extend_one() -> None:
    with pytest.raises(ConversionError, match=r"tf.train.SessionRunHook .* Write the loop with tf.Session"):
        exec("class Hook(tf.train.SessionRunHook): pass", {"tf": tf})


def test_a_part_of_another_name_for_a_place_is_refused(program: Program) -> None:
    with pytest.raises(ConversionError, match=r"tf.contrib.slim.model_analyzer.analyze_vars .* Leave it out"):
        program("""
            import tensorflow.contrib.slim as slim
            slim.fully_connected
            slim.model_analyzer.analyze_vars([], print_info=True)
        """)


def test_what_is_refused_and_what_beside_it_runs() -> None:
    names_of_tutorials = "train.Supervisor nn.nce_loss estimator.Estimator keras.layers.LSTM data.TextLineDataset"
    for name in names_of_tutorials.split():
        assert isinstance(names.find(name), names.Refused), name
    for name in ("test.gpu_device_name", "compat.as_str", "logging.INFO", "keras.datasets.mnist.load_data"):
        assert not isinstance(names.find(name), names.Refused), name


def test_an_unknown_name_has_its_line_and_the_nearest_ones(program: Program) -> None:
    with pytest.raises(AttributeError) as error:
        program("import tensorflow as tf\ntf.nn.dynamic_rn")
    message = str(error.value)
    assert message.startswith(
        "Holdfast has no tf.nn.dynamic_rn (line 2 of program.py). The nearest names are tf.nn.dynamic_rnn"
    )
    assert message.endswith("docs/tf1.md says what it runs.")


def test_refusals_hide_nothing_that_runs() -> None:
    for name in names._NAMES:
        assert not isinstance(names.find(name), names.Refused), name


def test_every_advice_says_what_to_do_and_names_pages_that_exist() -> None:
    for advice in set(names._REFUSED.values()):
        assert advice.endswith("."), advice
        assert all((ROOT / page).is_file() for page in re.findall(r"docs/\w+\.md", advice)), advice

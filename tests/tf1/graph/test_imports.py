from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from holdfast.tf1 import graph
from holdfast.tf1.graph import names

Program = Callable[..., ModuleType]


def test_every_form_of_import(program: Program) -> None:
    ran = program("""
        import tensorflow as tf
        import tensorflow.contrib.legacy_seq2seq as seq2seq
        import tensorflow.contrib.layers
        from tensorflow.contrib import rnn, learn
        from tensorflow.contrib.rnn import BasicLSTMCell, GRUCell as Gru
        from tensorflow.python.ops import rnn_cell, seq2seq as old_seq2seq
        from tensorflow.models.rnn import rnn as old_rnn, rnn_cell as old_cell
        from tensorflow.python.framework import ops, dtypes
        from tensorflow.python.platform import gfile
        from tensorflow.python.client import device_lib
        from tensorflow.examples.tutorials.mnist import input_data
        from tensorflow.contrib.tensorboard.plugins import projector
        from tensorflow.contrib.timeseries.python.timeseries import estimators
        from tensorflow.contrib.seq2seq import AttentionWrapper
        same = [
            tf.nn.rnn_cell.BasicLSTMCell is BasicLSTMCell, rnn.BasicLSTMCell is BasicLSTMCell,
            old_cell.GRUCell is Gru, rnn_cell.GRUCell is Gru, old_rnn.rnn is tf.nn.static_rnn,
            ops.reset_default_graph is tf.reset_default_graph, dtypes.float32 is tf.float32,
            gfile.Exists is tf.gfile.Exists, tensorflow.contrib.layers.linear is tf.contrib.layers.linear,
            input_data.read_data_sets is tf.contrib.learn.datasets.mnist.read_data_sets,
        ]
        cpu = device_lib.list_local_devices()[0].name
        version = [int(part) for part in tf.__version__.split('.')]
    """)
    assert ran.same == [True] * len(ran.same)
    assert ran.cpu == "/device:CPU:0"
    assert ran.version == [1, 15, 0]


def test_a_module_that_is_not_there(program: Program) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"Holdfast has no module tensorflow.nowhere. docs/tf1.md lists"):
        program("import tensorflow.nowhere")


def test_everything_by_a_star(program: Program) -> None:
    ran = program("from tensorflow.contrib.rnn import *\ncell = GRUCell(3)")
    assert ran.cell.output_size == 3


def test_other_packages_are_left_alone(program: Program) -> None:
    before = {name for name in sys.modules if not name.startswith("holdfast")}
    program("import tensorflow as tf\nimport colorsys")
    new = {name.partition(".")[0] for name in sys.modules if not name.startswith("holdfast")} - before
    assert new <= {"tensorflow", "colorsys"}


def test_tensorboard_uses_its_own_parts(program: Program) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    ran = program("""
        import tensorflow as tf
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
        EventFileWriter("logs/new").close()
        files = tf.gfile.ListDirectory("logs/new")
    """)
    assert len(ran.files) == 1


def test_no_file_of_ours_hides_a_name_of_tensorflow() -> None:
    for file in pkgutil.iter_modules(graph.__path__):
        importlib.import_module(f"holdfast.tf1.graph.{file.name}")
    tops = {name.partition(".")[0] for name in (*names._NAMES, *names._SAME, *names._REFUSED)} - {""}
    assert not {name for name in tops if f"holdfast.tf1.graph.{name}" in sys.modules}
    assert isinstance(graph.initializers, names.Namespace)
    assert graph.initializers.zeros is graph.zeros_initializer


def test_modules_in_which_tensorflow_keeps_its_functions(program: Program) -> None:
    ran = program("""
        import tensorflow as tf
        from tensorflow.python.ops import array_ops, clip_ops, gradients_impl, init_ops, math_ops, nn_ops, sparse_ops
        from tensorflow.python.ops import gen_array_ops, tensor_array_ops, variable_scope as vs
        from tensorflow.python.ops.ctc_ops import ctc_loss
        from tensorflow.python.training import moving_averages, saver as saver_lib
        from tensorflow.python.training.adam import AdamOptimizer
        from tensorflow.python.client.session import Session
        from tensorflow.python.pywrap_tensorflow import NewCheckpointReader
        pairs = [
            (clip_ops.clip_by_norm, tf.clip_by_norm), (gradients_impl.gradients, tf.gradients),
            (nn_ops.softmax, tf.nn.softmax), (sparse_ops.sparse_to_dense, tf.sparse_to_dense),
            (gen_array_ops.reshape, tf.reshape), (tensor_array_ops.TensorArray, tf.TensorArray),
            (ctc_loss, tf.nn.ctc_loss), (moving_averages.ExponentialMovingAverage, tf.train.ExponentialMovingAverage),
            (saver_lib.Saver, tf.train.Saver), (AdamOptimizer, tf.train.AdamOptimizer), (Session, tf.Session),
            (NewCheckpointReader, tf.train.NewCheckpointReader), (vs.get_variable, tf.get_variable),
        ]
        different = [one for one, other in pairs if one is not other]
    """)
    assert ran.different == []

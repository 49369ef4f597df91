"""More expressions as in ``tensorflow_cases``: loops over time, by a cell that needs nothing of TensorFlow's cells."""

from __future__ import annotations

from typing import Any

from tensorflow_cases import case, f, these

_CELL = """
class Cell:
    state_size = output_size = 3
    def zero_state(self, batch, dtype):
        return tf.zeros([batch, 3], dtype)
    def __call__(self, x, h, scope=None):
        h = tf.tanh(tf.matmul(tf.concat([x, h], 1), w))
        return h * 2, h
x.set_shape([None, None, 4])
w.set_shape([7, 3])
"""


def loop(code: str, **more: Any) -> None:
    case(f"{_CELL}{code}", x=f(2, 5, 4), w=f(7, 3), **more)


_LENGTHS = {"n": these(5, 2, dtype="int32")}
loop("out = tf.nn.dynamic_rnn(Cell(), x, dtype=tf.float32)")
loop("out = tf.nn.dynamic_rnn(Cell(), x, n, dtype=tf.float32)", **_LENGTHS)
loop("out = tf.nn.dynamic_rnn(Cell(), x, sequence_length=n, dtype=tf.float32)", n=these(0, 3, dtype="int64"))
loop("out = tf.nn.dynamic_rnn(Cell(), x, initial_state=h)", h=f(2, 3))
loop("out = tf.nn.dynamic_rnn(Cell(), x, n, h, time_major=True)", n=these(1, 2, 0, 2, 1, dtype="int32"), h=f(5, 3))
loop("out = tf.nn.dynamic_rnn(Cell(), x)")
loop("out = tf.nn.dynamic_rnn(Cell(), x[0], dtype=tf.float32)")
loop("out = tf.nn.bidirectional_dynamic_rnn(Cell(), Cell(), x, dtype=tf.float32)")
loop("out = tf.nn.bidirectional_dynamic_rnn(Cell(), Cell(), x, n, dtype=tf.float32)", **_LENGTHS)
loop("out = tf.nn.static_rnn(Cell(), tf.unstack(x, 5, 1), dtype=tf.float32)")
loop("out = tf.nn.static_rnn(Cell(), tf.unstack(x, 5, 1), h)", h=f(2, 3))
loop("out = tf.nn.static_rnn(Cell(), tf.unstack(x, 5, 1), dtype=tf.float32, sequence_length=n)", **_LENGTHS)
loop("out = tf.nn.static_bidirectional_rnn(Cell(), Cell(), tf.unstack(x, 5, 1), dtype=tf.float32)")
loop("out = tf.nn.static_rnn(Cell(), x, dtype=tf.float32)")
loop("out = tf.nn.static_rnn(Cell(), [], dtype=tf.float32)")
_RAW = """
steps = tf.TensorArray(tf.float32, tf.shape(x)[1]).unstack(tf.transpose(x, [1, 0, 2]))
def loop_fn(t, output, state, own):
    finished = t >= n
    following = tf.cond(tf.reduce_all(finished), lambda: tf.zeros([2, 4]), lambda: tf.reshape(steps.read(t), [2, 4]))
    return finished, following, tf.zeros([2, 3]) if output is None else state, output, None
emitted, state, _ = tf.nn.raw_rnn(Cell(), loop_fn)
out = emitted.stack(), state
"""
loop(_RAW, **_LENGTHS)

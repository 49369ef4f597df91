from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

Program = Callable[..., ModuleType]


def test_a_program_of_tensorflow_0_7(program: Program) -> None:
    ran = program("""
        import numpy as np
        import tensorflow as tf
        from tensorflow.models.rnn import rnn, rnn_cell

        cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(4, 1.0, 5), rnn_cell.LSTMCell(3, 4, num_proj=2)])
        istate = tf.placeholder(tf.float32, [None, cell.state_size])
        x = tf.placeholder(tf.float32, [None, 3, 5])
        steps = [tf.squeeze(each, [1]) for each in tf.split(1, 3, x)]
        outputs, state = rnn.rnn(cell, steps, initial_state=istate)
        with tf.Session() as session:
            session.run(tf.initialize_all_variables())
            last, final = session.run([outputs[-1], state], {x: np.ones([2, 3, 5]), istate: np.zeros([2, 13])})
            last, again = session.run([outputs[-1], state], {x: np.ones([2, 3, 5]), istate: final})
        sizes = cell.state_size, rnn_cell.GRUCell(6).state_size, cell.zero_state(7, tf.float32).get_shape().as_list()
    """)
    assert ran.sizes == (13, 6, [7, 13])
    assert ran.final.shape == ran.again.shape == (2, 13)
    assert ran.last.shape == (2, 2)
    assert np.abs(ran.again - ran.final).max() > 1e-3
    np.testing.assert_array_equal(ran.again[:, -2:], ran.last)  # the output of the second cell


def test_the_state_is_a_tuple_where_the_program_says_so(program: Program) -> None:
    ran = program("""
        from tensorflow.models.rnn import rnn_cell
        cells = [rnn_cell.BasicLSTMCell(4, state_is_tuple=True), rnn_cell.LSTMCell(4, state_is_tuple=True)]
        sizes = [tuple(cell.state_size) for cell in cells]
        stacked = rnn_cell.MultiRNNCell(cells, state_is_tuple=True).state_size
    """)
    assert ran.sizes == [(4, 4), (4, 4)]
    assert ran.stacked == ((4, 4), (4, 4))

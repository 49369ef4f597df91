"""Programs about series and sequences, in the style of tutorials, run as they are."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Program = Callable[..., ModuleType]


def test_a_series_and_its_next_values(program: Program) -> None:
    ran = program("""
        import numpy as np
        import tensorflow as tf

        BATCH_START, TIME_STEPS, BATCH_SIZE, CELL_SIZE = 0, 20, 16, 10

        def get_batch():
            global BATCH_START
            xs = np.arange(BATCH_START, BATCH_START + TIME_STEPS * BATCH_SIZE).reshape(BATCH_SIZE, TIME_STEPS) / 10.0
            BATCH_START += TIME_STEPS
            return [np.sin(xs)[:, :, np.newaxis], np.cos(xs)[:, :, np.newaxis], xs]

        class Regression:
            def __init__(self):
                with tf.name_scope('inputs'):
                    self.xs = tf.placeholder(tf.float32, [None, TIME_STEPS, 1], name='xs')
                    self.ys = tf.placeholder(tf.float32, [None, TIME_STEPS, 1], name='ys')
                with tf.variable_scope('in'):
                    flat = tf.reshape(self.xs, [-1, 1], name='to_2D')
                    w = self.weights([1, CELL_SIZE])
                    b = self.biases([CELL_SIZE])
                    into = tf.reshape(tf.matmul(flat, w) + b, [-1, TIME_STEPS, CELL_SIZE], name='to_3D')
                with tf.variable_scope('cell'):
                    cell = tf.contrib.rnn.BasicLSTMCell(CELL_SIZE, forget_bias=1.0, state_is_tuple=True)
                    self.first = cell.zero_state(BATCH_SIZE, dtype=tf.float32)
                    outputs, self.last = tf.nn.dynamic_rnn(cell, into, initial_state=self.first, time_major=False)
                with tf.variable_scope('out'):
                    flat = tf.reshape(outputs, [-1, CELL_SIZE])
                    self.pred = tf.matmul(flat, self.weights([CELL_SIZE, 1])) + self.biases([1])
                with tf.name_scope('cost'):
                    error = tf.square(tf.subtract(tf.reshape(self.pred, [-1]), tf.reshape(self.ys, [-1])))
                    self.cost = tf.div(tf.reduce_sum(error), BATCH_SIZE * TIME_STEPS, name='average')
                with tf.name_scope('train'):
                    self.train = tf.train.AdamOptimizer(0.01).minimize(self.cost)

            def weights(self, shape, name='weights'):
                return tf.get_variable(shape=shape, initializer=tf.random_normal_initializer(0., 1., seed=1), name=name)

            def biases(self, shape, name='biases'):
                return tf.get_variable(name=name, shape=shape, initializer=tf.constant_initializer(0.1))

        if __name__ == '__main__':
            model, costs = Regression(), []
            sess = tf.Session()
            sess.run(tf.global_variables_initializer())
            for i in range(150):
                seq, res, xs = get_batch()
                feed = {model.xs: seq, model.ys: res}
                if i > 0:
                    feed[model.first] = state
                _, cost, state, pred = sess.run([model.train, model.cost, model.last, model.pred], feed_dict=feed)
                costs.append(cost)
    """)
    assert ran.costs[0] > 0.3
    assert max(ran.costs[-10:]) < 0.03
    assert ran.pred.shape == (320, 1)
    assert type(ran.state).__name__ == "LSTMStateTuple"


def test_sequences_of_unequal_length_to_classes(program: Program) -> None:
    ran = program("""
        import random
        import numpy as np
        import tensorflow as tf

        random.seed(5)
        tf.set_random_seed(5)
        LONGEST = 12

        def rows(count):
            xs, ys, sizes = [], [], []
            for _ in range(count):
                size = random.randint(4, LONGEST)
                rising = random.random() < .5
                start = random.random()
                values = [[start + (.08 if rising else -.08) * i] for i in range(size)]
                xs.append(values + [[0.]] * (LONGEST - size))
                ys.append([1., 0.] if rising else [0., 1.])
                sizes.append(size)
            return xs, ys, sizes

        x = tf.placeholder("float", [None, LONGEST, 1])
        y = tf.placeholder("float", [None, 2])
        seqlen = tf.placeholder(tf.int32, [None])
        w = tf.Variable(tf.random_normal([16, 2]))
        b = tf.Variable(tf.random_normal([2]))

        def dynamicRNN(x, seqlen):
            x = tf.unstack(x, LONGEST, 1)
            cell = tf.contrib.rnn.BasicLSTMCell(16)
            outputs, states = tf.contrib.rnn.static_rnn(cell, x, dtype=tf.float32, sequence_length=seqlen)
            outputs = tf.transpose(tf.stack(outputs), [1, 0, 2])
            batch_size = tf.shape(outputs)[0]
            index = tf.range(0, batch_size) * LONGEST + (seqlen - 1)
            last = tf.gather(tf.reshape(outputs, [-1, 16]), index)
            return tf.matmul(last, w) + b, last, states

        pred, last, states = dynamicRNN(x, seqlen)
        cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=pred, labels=y))
        optimizer = tf.train.AdamOptimizer(learning_rate=0.02).minimize(cost)
        accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(pred, 1), tf.argmax(y, 1)), tf.float32))
        init = tf.global_variables_initializer()
        with tf.Session() as sess:
            sess.run(init)
            for step in range(120):
                bx, by, bs = rows(64)
                sess.run(optimizer, feed_dict={x: bx, y: by, seqlen: bs})
            tx, ty, ts = rows(100)
            reached, found, end = sess.run([accuracy, last, states], feed_dict={x: tx, y: ty, seqlen: ts})
    """)
    assert ran.reached > 0.95
    assert (ran.found == ran.end.h).all()  # the output at the last step of each row is its final state


def test_steps_of_a_cell_in_a_loop_with_shared_variables(program: Program) -> None:
    ran = program("""
        import numpy as np
        import tensorflow as tf
        from tensorflow.python.ops import rnn, rnn_cell

        data = np.random.RandomState(0).rand(3, 5, 4).astype(np.float32)
        x = tf.placeholder(tf.float32, [3, 5, 4])
        cell = rnn_cell.GRUCell(6)
        state = cell.zero_state(3, tf.float32)
        by_hand = []
        with tf.variable_scope("rnn") as scope:
            for t in range(5):
                if t > 0:
                    scope.reuse_variables()
                output, state = cell(x[:, t, :], state)
                by_hand.append(output)
        # the same weights, by the library's loop
        with tf.variable_scope("", reuse=True):
            outputs, final = rnn.rnn(rnn_cell.GRUCell(6), tf.unpack(x, axis=1), dtype=tf.float32)
        total = tf.add_n([tf.reduce_sum(tf.abs(a - b)) for a, b in zip(by_hand, outputs)])
        with tf.Session() as sess:
            sess.run(tf.initialize_all_variables())
            difference, last, end = sess.run([total, by_hand[-1], final], {x: data})
        names = [v.name for v in tf.all_variables()]
    """)
    assert ran.difference < 1e-5
    assert ran.last == pytest.approx(ran.end, abs=1e-6)
    assert ran.names == [f"rnn/gru_cell/{part}:0" for part in (
        "gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias"
    )]  # fmt: skip


def test_an_interactive_session_with_eval_and_run(program: Program) -> None:
    ran = program("""
        import tensorflow as tf
        import numpy as np

        sess = tf.InteractiveSession()
        x = tf.placeholder(tf.float32, shape=[None, 3, 2])
        y_ = tf.placeholder(tf.float32, shape=[None, 1])
        keep_prob = tf.placeholder(tf.float32)
        outputs, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicRNNCell(8), x, dtype=tf.float32)
        dropped = tf.nn.dropout(outputs[:, -1], keep_prob)
        y = tf.contrib.layers.fully_connected(dropped, 1, activation_fn=None)
        loss = tf.reduce_mean(tf.square(y - y_))
        train_step = tf.train.AdamOptimizer(2e-2).minimize(loss)
        sess.run(tf.global_variables_initializer())
        data = np.random.RandomState(1).rand(50, 3, 2)
        goal = data.sum((1, 2))[:, None] - 3
        before = loss.eval(feed_dict={x: data, y_: goal, keep_prob: 1.0})
        for i in range(200):
            train_step.run(feed_dict={x: data, y_: goal, keep_prob: 1.0})
        after = loss.eval({x: data, y_: goal, keep_prob: 1.0})
        two = [y.eval({x: data[:1], keep_prob: 0.5}) for _ in range(6)]
        sizes = tf.shape(x).eval({x: data})
        sess.close()
    """)
    assert ran.before > 0.1
    assert ran.after < 0.01
    assert len({float(value[0, 0]) for value in ran.two}) > 1  # a mask of its own in each run
    assert ran.sizes.tolist() == [50, 3, 2]


def test_flags_and_the_main_function(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
        from __future__ import absolute_import
        import sys
        import tensorflow as tf

        flags = tf.app.flags
        flags.DEFINE_integer("steps", 3, "Steps.")
        flags.DEFINE_float("rate", .5, "Learning rate.")
        flags.DEFINE_string("name", "w", "Name of the variable.")
        flags.DEFINE_boolean("quiet", False, "Whether to print nothing.")
        FLAGS = flags.FLAGS

        def main(argv):
            tf.logging.set_verbosity(tf.logging.INFO)
            w = tf.Variable(4.0, name=FLAGS.name)
            b = tf.Variable([2.0])
            loss = tf.square(w) / 2 + tf.reduce_sum(b * b)
            train = tf.train.GradientDescentOptimizer(FLAGS.rate).minimize(loss)
            with tf.train.MonitoredSession() if FLAGS.name == "monitored" else tf.Session() as sess:
                sess.run(tf.global_variables_initializer())
                for _ in range(FLAGS.steps):
                    sess.run(train)
                if not FLAGS.quiet:
                    print(w.name, sess.run(w), argv[1:])

        if __name__ == "__main__":
            tf.app.run()
    """
    with pytest.raises(SystemExit) as end:
        program(text, "--steps=2", "--name", "v", "rest.txt")
    assert not end.value.code
    assert capsys.readouterr().out == "v:0 1.0 ['rest.txt']\n"

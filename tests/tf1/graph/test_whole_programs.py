"""Whole programs in the words of their time, each until it has learned what it is for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture(autouse=True)
def new_graph() -> Iterator[None]:
    tf.reset_default_graph()
    tf.set_random_seed(1)
    yield
    tf.reset_default_graph()


def test_rows_of_images_by_static_rnn_before_one() -> None:
    """Written for TensorFlow 0.11: tf.pack's order of arguments, tf.nn.rnn, logits first."""
    steps, depth, classes = 5, 4, 3
    x = tf.placeholder("float", [None, steps, depth])
    y = tf.placeholder("float", [None, classes])
    state = tf.placeholder("float", [None, 2 * 8])
    weights = {"hidden": tf.Variable(tf.random_normal([depth, 8])), "out": tf.Variable(tf.random_normal([8, classes]))}
    biases = {"hidden": tf.Variable(tf.random_normal([8])), "out": tf.Variable(tf.random_normal([classes]))}
    rows = tf.matmul(tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, depth]), weights["hidden"]) + biases["hidden"]
    cell = tf.nn.rnn_cell.BasicLSTMCell(8, forget_bias=1.0, state_is_tuple=False)
    outputs, _ = tf.nn.rnn(cell, tf.split(0, steps, rows), initial_state=state)
    scores = tf.matmul(outputs[-1], weights["out"]) + biases["out"]
    cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(scores, y))
    optimizer = tf.train.AdamOptimizer(learning_rate=0.05).minimize(cost)
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(scores, 1), tf.argmax(y, 1)), tf.float32))
    draw = np.random.RandomState(0)
    images = draw.standard_normal((60, steps, depth))
    labels = np.eye(classes)[images[:, 2].argmax(1) % classes]
    with tf.Session() as sess:
        sess.run(tf.initialize_all_variables())
        feed = {x: images, y: labels, state: np.zeros((60, 16))}
        for _ in range(120):
            sess.run(optimizer, feed_dict=feed)
        assert sess.run(accuracy, feed_dict=feed) > 0.9


def test_characters_with_a_graph_to_train_and_one_to_sample() -> None:
    """As char-rnn: one class for both graphs, the state fed back, a learning rate that is assigned."""
    text = [0, 1, 2, 3, 4] * 40

    class Model:
        def __init__(self, batch: int, length: int, sampling: bool) -> None:
            cell = tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.BasicLSTMCell(16)] * 2, state_is_tuple=True)
            self.inputs = tf.placeholder(tf.int32, [batch, length])
            self.targets = tf.placeholder(tf.int32, [batch, length])
            self.initial_state = cell.zero_state(batch, tf.float32)
            with tf.variable_scope("rnnlm", reuse=sampling):
                w = tf.get_variable("softmax_w", [16, 5])
                b = tf.get_variable("softmax_b", [5])
                embedding = tf.get_variable("embedding", [5, 16])
                vectors = tf.split(tf.nn.embedding_lookup(embedding, self.inputs), length, 1)
                vectors = [tf.squeeze(each, [1]) for each in vectors]

            def loop(prev: tf.Tensor, _: int) -> tf.Tensor:
                return tf.nn.embedding_lookup(embedding, tf.stop_gradient(tf.argmax(tf.matmul(prev, w) + b, 1)))

            with tf.variable_scope("rnnlm", reuse=sampling):
                outputs, self.final_state = tf.contrib.legacy_seq2seq.rnn_decoder(
                    vectors, self.initial_state, cell, loop_function=loop if sampling else None, scope="rnnlm"
                )
            logits = tf.matmul(tf.reshape(tf.concat(outputs, 1), [-1, 16]), w) + b
            self.probs = tf.nn.softmax(logits)
            loss = tf.contrib.legacy_seq2seq.sequence_loss_by_example(
                [logits], [tf.reshape(self.targets, [-1])], [tf.ones([batch * length])]
            )
            self.cost = tf.reduce_sum(loss) / batch / length
            self.lr = tf.Variable(0.0, trainable=False)
            tvars = tf.trainable_variables()
            grads, _ = tf.clip_by_global_norm(tf.gradients(self.cost, tvars), 5.0)
            if not sampling:
                self.train_op = tf.train.AdamOptimizer(self.lr).apply_gradients(zip(grads, tvars, strict=True))

    model, sampler = Model(2, 10, False), Model(1, 1, True)
    assert len(tf.trainable_variables()) == 7
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for epoch in range(30):
            sess.run(tf.assign(model.lr, 0.02 * 0.99**epoch))
            state = sess.run(model.initial_state)
            for start in range(0, 50, 10):
                rows = np.array([text[start : start + 11], text[start + 100 : start + 111]])
                feed = {model.inputs: rows[:, :-1], model.targets: rows[:, 1:]}
                for i, (c, h) in enumerate(model.initial_state):
                    feed[c], feed[h] = state[i].c, state[i].h
                loss, state, _ = sess.run([model.cost, model.final_state, model.train_op], feed)
        assert loss < 0.1
        letter, written = 0, []
        state = sess.run(sampler.initial_state)
        for _ in range(9):
            feed = {sampler.inputs: [[letter]], sampler.initial_state: state}
            probs, state = sess.run([sampler.probs, sampler.final_state], feed)
            letter = int(np.argmax(probs[0]))
            written.append(letter)
        assert written == [1, 2, 3, 4, 0, 1, 2, 3, 4]


def test_sequences_reversed_by_encoder_and_decoder() -> None:
    """As the translators of 2017: one decoder to train, one to run, the same weights in both."""
    symbols, start, end, size = 6, 4, 5, 24
    source, target = tf.placeholder(tf.int32, [None, None]), tf.placeholder(tf.int32, [None, None])
    lengths = tf.placeholder(tf.int32, (None,))
    batch = tf.shape(source)[0]
    embedded = tf.contrib.layers.embed_sequence(source, symbols, 8)
    _, encoded = tf.nn.dynamic_rnn(tf.contrib.rnn.GRUCell(size), embedded, dtype=tf.float32)
    given = tf.concat([tf.fill([batch, 1], start), tf.strided_slice(target, [0, 0], [batch, -1], [1, 1])], 1)
    table = tf.Variable(tf.random_uniform([symbols, 8]))
    cell, layer = tf.contrib.rnn.GRUCell(size), tf.layers.Dense(symbols)
    seq2seq = tf.contrib.seq2seq
    with tf.variable_scope("decode"):
        helper = seq2seq.TrainingHelper(tf.nn.embedding_lookup(table, given), lengths)
        outputs, _, _ = seq2seq.dynamic_decode(seq2seq.BasicDecoder(cell, helper, encoded, layer), impute_finished=True)
    with tf.variable_scope("decode", reuse=True):
        helper = seq2seq.GreedyEmbeddingHelper(table, tf.tile(tf.constant([start], tf.int32), [batch]), end)
        written, _, _ = seq2seq.dynamic_decode(
            seq2seq.BasicDecoder(cell, helper, encoded, layer), impute_finished=True, maximum_iterations=8
        )
    masks = tf.sequence_mask(lengths, dtype=tf.float32)
    cost = seq2seq.sequence_loss(tf.identity(outputs.rnn_output, "logits"), target, masks)
    optimizer = tf.train.AdamOptimizer(0.02)
    pairs = [(tf.clip_by_value(g, -5.0, 5.0), v) for g, v in optimizer.compute_gradients(cost) if g is not None]
    train = optimizer.apply_gradients(pairs)
    words = np.array([[a, b, c] for a in range(4) for b in range(4) for c in range(4) if a != b])
    ends = np.concatenate([words[:, ::-1], np.full((len(words), 1), end)], 1)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        feed = {source: words, target: ends, lengths: [4] * len(words)}
        for _ in range(250):
            loss, _ = sess.run([cost, train], feed)
        assert loss < 0.1
        found = sess.run(written.sample_id, {source: words})
        assert (found[:, :4] == ends).mean() > 0.97


def test_tags_by_two_directions_and_a_chain() -> None:
    words = tf.placeholder(tf.int32, [None, None])
    tags = tf.placeholder(tf.int32, [None, None])
    lengths = tf.placeholder(tf.int32, [None])
    keep = tf.placeholder_with_default(1.0, [])
    vectors = tf.nn.dropout(tf.nn.embedding_lookup(tf.get_variable("words", [9, 8]), words), keep)
    (fw, bw), _ = tf.nn.bidirectional_dynamic_rnn(
        tf.contrib.rnn.LSTMCell(8), tf.contrib.rnn.LSTMCell(8), vectors, sequence_length=lengths, dtype=tf.float32
    )
    output = tf.reshape(tf.concat([fw, bw], axis=-1), [-1, 16])
    scores = tf.reshape(tf.layers.dense(output, 3), [-1, tf.shape(words)[1], 3])
    likelihood, moves = tf.contrib.crf.crf_log_likelihood(scores, tags, lengths)
    train = tf.train.AdamOptimizer(0.05).minimize(tf.reduce_mean(-likelihood))
    draw = np.random.RandomState(0)
    texts, counts = draw.randint(0, 9, (20, 6)), draw.randint(2, 7, 20)
    answers = np.concatenate([texts[:, 1:], texts[:, :1]], 1) % 3  # of the following word
    inside = np.arange(6) < counts[:, None] - 1
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for _ in range(120):
            sess.run(train, {words: texts, tags: answers, lengths: counts, keep: 0.9})
        values, matrix = sess.run([scores, moves], {words: texts, lengths: counts})
        found = np.zeros_like(texts)
        for row, count in enumerate(counts):
            found[row, :count] = tf.contrib.crf.viterbi_decode(values[row][:count], matrix)[0]
        assert (found == answers)[inside].mean() > 0.95

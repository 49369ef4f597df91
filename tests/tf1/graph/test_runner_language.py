"""Programs about texts, in the style of tutorials, run as they are."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

Program = Callable[..., ModuleType]


CHARACTERS = """
from __future__ import print_function
import numpy as np
import tensorflow as tf

text = "the rain in spain stays mainly in the plain. " * 20
signs = sorted(set(text))
number = {sign: i for i, sign in enumerate(signs)}
data = np.array([number[sign] for sign in text], dtype=np.int32)
tf.set_random_seed(3)
np.random.seed(3)

class Model(object):
    def __init__(self, batch, steps, training=True):
        self.x = tf.placeholder(tf.int32, [batch, steps], name='x')
        self.y = tf.placeholder(tf.int32, [batch, steps], name='y')
        cell = tf.nn.rnn_cell.BasicLSTMCell(48, state_is_tuple=True)
        self.initial = cell.zero_state(batch, tf.float32)
        embedding = tf.get_variable('embedding', [len(signs), 24])
        inputs = tf.nn.embedding_lookup(embedding, self.x)
        outputs, self.final = tf.nn.dynamic_rnn(cell, inputs, initial_state=self.initial)
        with tf.variable_scope('softmax'):
            w = tf.get_variable('w', [48, len(signs)])
            b = tf.get_variable('b', [len(signs)], initializer=tf.constant_initializer(0.0))
        logits = tf.matmul(tf.reshape(outputs, [-1, 48]), w) + b
        self.probabilities = tf.nn.softmax(logits)
        self.choice = tf.multinomial(logits, 1)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=tf.reshape(self.y, [-1]))
        self.loss = tf.reduce_mean(loss)
        if training:
            self.train = tf.train.AdamOptimizer(0.02).minimize(self.loss)

with tf.variable_scope('model'):
    model = Model(5, 15)
with tf.variable_scope('model', reuse=True):
    sampler = Model(1, 1, training=False)

losses = []
sess = tf.Session()
sess.run(tf.global_variables_initializer())
per_row = (len(data) - 1) // 5
xs, ys = data[:5 * per_row].reshape(5, -1), data[1:5 * per_row + 1].reshape(5, -1)
for epoch in range(12):
    state = sess.run(model.initial)
    for start in range(0, per_row - 15, 15):
        feed = {model.x: xs[:, start:start + 15], model.y: ys[:, start:start + 15], model.initial: state}
        loss, state, _ = sess.run([model.loss, model.final, model.train], feed)
        losses.append(loss)

# sampling: the most likely sign each time
state, sign, said = sess.run(sampler.initial), 't', 't'
for _ in range(40):
    chances, drawn, state = sess.run(
        [sampler.probabilities, sampler.choice, sampler.final],
        {sampler.x: [[number[sign]]], sampler.initial: state})
    sign = signs[int(np.argmax(chances[0]))]
    said += sign
names = [v.name for v in tf.trainable_variables()]
"""


def test_characters_with_carried_state_and_sampling(program: Program) -> None:
    ran = program(CHARACTERS)
    assert ran.losses[0] > 2.4
    assert ran.losses[-1] < 0.3
    assert ran.said in ran.text * 2
    assert ran.drawn.shape == (1, 1)
    assert ran.names == [
        "model/embedding:0", "model/rnn/basic_lstm_cell/kernel:0", "model/rnn/basic_lstm_cell/bias:0",
        "model/softmax/w:0", "model/softmax/b:0",
    ]  # fmt: skip


LANGUAGE_MODEL = """
import tensorflow as tf
import numpy as np

BATCH, STEPS, SIZE, WORDS = 4, 5, 20, 7
words = tf.placeholder(tf.int32, [BATCH, STEPS])
targets = tf.placeholder(tf.int32, [BATCH, STEPS])
keep = tf.placeholder(tf.float32, name="keep_prob")

def make_cell():
    cell = tf.contrib.rnn.BasicLSTMCell(SIZE, forget_bias=0.0, state_is_tuple=True,
                                        reuse=tf.get_variable_scope().reuse)
    return tf.contrib.rnn.DropoutWrapper(cell, output_keep_prob=keep)

scale = tf.random_uniform_initializer(-0.4, 0.4, seed=2)
with tf.variable_scope("lm", initializer=scale):
    cell = tf.contrib.rnn.MultiRNNCell([make_cell() for _ in range(2)], state_is_tuple=True)
    initial = cell.zero_state(BATCH, tf.float32)
    with tf.device("/cpu:0"):
        table = tf.get_variable("table", [WORDS, SIZE], dtype=tf.float32)
        inputs = tf.nn.dropout(tf.nn.embedding_lookup(table, words), keep)
    outputs, state = [], initial
    with tf.variable_scope("RNN"):
        for t in range(STEPS):
            if t > 0:
                tf.get_variable_scope().reuse_variables()
            output, state = cell(inputs[:, t, :], state)
            outputs.append(output)
    output = tf.reshape(tf.concat(outputs, 1), [-1, SIZE])
    w = tf.get_variable("softmax_w", [SIZE, WORDS])
    b = tf.get_variable("softmax_b", [WORDS])
    logits = tf.matmul(output, w) + b
each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.reshape(targets, [-1]), logits=logits)
cost = tf.reduce_sum(each) / BATCH
lr = tf.Variable(0.0, trainable=False)
tvars = tf.trainable_variables()
grads, norm = tf.clip_by_global_norm(tf.gradients(cost, tvars), 5)
step = tf.Variable(0, name="global_step", trainable=False)
train = tf.train.GradientDescentOptimizer(lr).apply_gradients(zip(grads, tvars), global_step=step)
new_lr = tf.placeholder(tf.float32, shape=[], name="new_learning_rate")
update = tf.assign(lr, new_lr)

rng = np.random.RandomState(0)
stream = np.stack([(np.arange(101) * 3 + rng.randint(WORDS)) % WORDS for _ in range(BATCH)])
perplexities = []
config = tf.ConfigProto(gpu_options=tf.GPUOptions(allow_growth=True))
config.gpu_options.per_process_gpu_memory_fraction = 0.5
with tf.Session(config=config) as session:
    tf.global_variables_initializer().run()
    for epoch in range(8):
        session.run(update, feed_dict={new_lr: 1.0 * 0.9 ** max(epoch - 3, 0)})
        state_now = session.run(initial)
        total, count = 0.0, 0
        for at in range(0, 100, STEPS):
            feed = {words: stream[:, at:at + STEPS], targets: stream[:, at + 1:at + STEPS + 1], keep: 0.9}
            for i, (c, h) in enumerate(initial):
                feed[c] = state_now[i].c
                feed[h] = state_now[i].h
            now, state_now, _ = session.run([cost, state, train], feed)
            total, count = total + now, count + STEPS
        perplexities.append(np.exp(total / count))
    rate, steps_made = session.run([lr, step])
names = [v.op.name for v in tvars]
largest = max(perplexities[:1])
"""


def test_a_language_model_with_clipping_and_an_assigned_learning_rate(program: Program) -> None:
    ran = program(LANGUAGE_MODEL)
    assert ran.perplexities[0] > 3
    assert ran.perplexities[-1] < 2
    assert abs(ran.rate - 0.9**4) < 1e-6
    assert ran.steps_made == 8 * 20
    assert ran.names[1:5] == [
        f"lm/RNN/multi_rnn_cell/cell_{layer}/basic_lstm_cell/{part}" for layer in (0, 1) for part in ("kernel", "bias")
    ]


def test_texts_to_two_classes_by_an_embedding(program: Program) -> None:
    ran = program("""
        import numpy as np
        import tensorflow as tf
        from tensorflow.contrib import learn

        good = ["a fine warm film", "what a great story", "warm and great fun", "fine fun story"]
        bad = ["a dull cold film", "what a poor story", "cold and poor mess", "dull poor mess"]
        vocabulary = learn.preprocessing.VocabularyProcessor(5)
        x = np.array(list(vocabulary.fit_transform(good + bad)))
        y = tf.keras.utils.to_categorical([1] * 4 + [0] * 4, 2)
        lengths = (x != 0).sum(1)
        tf.set_random_seed(1)

        ids = tf.placeholder(tf.int32, [None, 5], name="ids")
        labels = tf.placeholder(tf.float32, [None, 2], name="labels")
        sizes = tf.placeholder(tf.int32, [None])
        table = tf.Variable(tf.random_uniform([len(vocabulary.vocabulary_), 8], -1.0, 1.0), name="table")
        vectors = tf.nn.embedding_lookup(table, ids)
        outputs, last = tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(12), vectors, sequence_length=sizes, dtype=tf.float32)
        scores = tf.layers.dense(last, 2)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=scores, labels=labels))
        right = tf.equal(tf.argmax(scores, 1), tf.argmax(labels, 1))
        accuracy = tf.reduce_mean(tf.cast(right, "float"), name="accuracy")
        optimizer = tf.train.AdamOptimizer(0.02)
        pairs = optimizer.compute_gradients(loss)
        train = optimizer.apply_gradients([(tf.clip_by_value(g, -1., 1.), v) for g, v in pairs if g is not None])
        with tf.Session() as sess:
            sess.run(tf.initialize_all_variables())
            feed = {ids: x, labels: y, sizes: lengths}
            for _ in range(60):
                sess.run(train, feed)
            reached = sess.run("accuracy:0", feed)
            news = np.array(list(vocabulary.transform(["great warm film", "poor dull story never"])))
            guess = sess.run(tf.argmax(scores, 1), {ids: news, sizes: [3, 3]})
    """)
    assert ran.reached == 1
    assert ran.guess.tolist() == [1, 0]
    assert ran.x[0].tolist() == [1, 2, 3, 4, 0]
    assert ran.news[1].tolist()[3:] == [0, 0]

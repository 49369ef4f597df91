"""Programs that must train alike under TensorFlow and under Holdfast, from the same initial values.

Each defines ``loss``, ``train`` and ``feed(step)``; ``draw`` makes the same numbers under both.
"""

from __future__ import annotations

PROGRAMS: dict[str, str] = {}

_START = """
def w(*shape):
    return tf.Variable((0.3 * draw.standard_normal(shape)).astype('float32'))
X = draw.standard_normal((20, 8, 6)).astype('float32')
S = draw.standard_normal((20, 8, 5, 4)).astype('float32')
IDS = draw.randint(0, 7, (20, 8, 5)).astype('int32')
C = draw.randint(0, 3, (20, 8)).astype('int32')
Y = np.eye(3, dtype='float32')[C]
R = draw.standard_normal((20, 8, 1)).astype('float32')
x = tf.placeholder(tf.float32, [None, 6])
s = tf.placeholder(tf.float32, [None, 5, 4])
ids = tf.placeholder(tf.int32, [None, 5])
c = tf.placeholder(tf.int32, [None])
y = tf.placeholder('float', [None, 3])
r = tf.placeholder(tf.float32, [None, 1])
def feed(k):
    return {x: X[k], s: S[k], ids: IDS[k], c: C[k], y: Y[k], r: R[k]}
"""

_MODELS = {
    "least squares": "loss = tf.reduce_mean(tf.square(tf.matmul(x, w(6, 1)) + w(1) - r))",
    "two dense layers": (
        "h = tf.nn.relu(tf.nn.xw_plus_b(x, w(6, 9), w(9)))\n"
        "loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=tf.matmul(h, w(9, 3)) + w(3)))"
    ),
    "sparse classes": (
        "h = tf.tanh(tf.matmul(x, w(6, 9)))\n"
        "loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=c, logits=tf.matmul(h, w(9, 3))))"
    ),
    "a logarithm of softmax": (
        "p = tf.nn.softmax(tf.matmul(x, w(6, 3)))\n"
        "loss = -tf.reduce_mean(tf.reduce_sum(y * tf.log(tf.clip_by_value(p, 1e-10, 1.0)), reduction_indices=[1]))"
    ),
    "an embedding": (
        "e = tf.nn.embedding_lookup(w(7, 4), ids)\n"
        "loss = tf.reduce_mean(tf.square(tf.matmul(tf.reduce_sum(e, 1), w(4, 1)) - r))"
    ),
    "an embedding and its own product": (
        "table = w(7, 4)\ne = tf.reduce_mean(tf.nn.embedding_lookup(table, ids), 1)\n"
        "scores = tf.matmul(e, table, transpose_b=True)\n"
        "loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids[:, 0], logits=scores))"
    ),
    "a convolution": (
        "image = tf.reshape(s, [-1, 5, 4, 1])\n"
        "h = tf.nn.max_pool(tf.nn.relu(tf.nn.conv2d(image, w(3, 3, 1, 2), [1, 1, 1, 1], 'SAME') + w(2)),\n"
        "                   [1, 2, 2, 1], [1, 2, 2, 1], 'SAME')\n"
        "loss = tf.losses.softmax_cross_entropy(y, tf.matmul(tf.reshape(h, [-1, 12]), w(12, 3)))"
    ),
    "a recurrent network by hand": (
        "u, v, b = w(4, 6), w(6, 6), w(6)\nh = tf.zeros([tf.shape(s)[0], 6])\n"
        "for step in tf.unstack(s, axis=1):\n    h = tf.tanh(tf.matmul(step, u) + tf.matmul(h, v) + b)\n"
        "loss = tf.losses.mean_squared_error(r, tf.matmul(h, w(6, 1)))"
    ),
    "a recurrent network in scan": (
        "u, v = w(4, 6), w(6, 6)\n"
        "hs = tf.scan(lambda h, e: tf.tanh(tf.matmul(e, u) + tf.matmul(h, v)), tf.transpose(s, [1, 0, 2]),\n"
        "             initializer=tf.zeros([8, 6]))\n"
        "loss = tf.reduce_mean(tf.square(tf.matmul(hs[-1], w(6, 1)) - r))"
    ),
    "a recurrent network in while_loop": (
        "u, v = w(4, 6), w(6, 6)\n"
        "_, h = tf.while_loop(lambda t, h: t < 5,\n"
        "                     lambda t, h: (t + 1, tf.tanh(tf.matmul(s[:, t], u) + tf.matmul(h, v))),\n"
        "                     [tf.constant(0), tf.zeros([8, 6])])\n"
        "loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y[:, :1], logits=tf.matmul(h, w(6, 1))))"
    ),
    "an LSTM by hand": (
        "k, b = w(10, 24), tf.Variable(tf.zeros([24]))\nc0 = h = tf.zeros([8, 6])\n"
        "for t in range(5):\n"
        "    i, j, f, o = tf.split(tf.matmul(tf.concat([s[:, t], h], 1), k) + b, 4, 1)\n"
        "    c0 = c0 * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)\n    h = tf.tanh(c0) * tf.sigmoid(o)\n"
        "loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=tf.matmul(h, w(6, 3))))"
    ),
    "batch normalization by hand": (
        "h = tf.matmul(x, w(6, 5))\nm, v = tf.nn.moments(h, [0])\n"
        "h = tf.nn.elu(tf.nn.batch_normalization(h, m, v, w(5), tf.Variable(tf.ones([5])), 1e-3))\n"
        "loss = tf.losses.huber_loss(r, tf.matmul(h, w(5, 1)))"
    ),
    "penalties": (
        "scores = tf.matmul(x, w(6, 3))\n"
        "loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=scores))\n"
        "loss += 0.05 * tf.add_n([tf.nn.l2_loss(each) for each in tf.trainable_variables()])"
    ),
}  # fmt: skip
_OPTIMIZERS = {
    "descent": "tf.train.GradientDescentOptimizer(0.2).minimize(loss)",
    "Adam": "tf.train.AdamOptimizer(0.02).minimize(loss)",
}
for _model, _code in _MODELS.items():
    for _optimizer, _train in _OPTIMIZERS.items():
        PROGRAMS[f"{_model}, {_optimizer}"] = f"{_START}{_code}\ntrain = {_train}\n"

_DENSE = f"{_START}{_MODELS['two dense layers']}\n"
_TABLE = f"{_START}{_MODELS['an embedding']}\n"
_CLIPPED = """
variables = tf.trainable_variables()
grads, norm = tf.clip_by_global_norm(tf.gradients(loss, variables), 0.3)
train = tf.train.AdamOptimizer(0.05).apply_gradients(zip(grads, variables))
"""
PROGRAMS |= {
    "clipped by the norm of all": _DENSE + _CLIPPED,
    "clipped by the norm of rows that repeat": _TABLE + _CLIPPED,
    "clipped by value": _DENSE + (
        "optimizer = tf.train.RMSPropOptimizer(0.01)\n"
        "pairs = [(tf.clip_by_value(g, -0.1, 0.1), v) for g, v in optimizer.compute_gradients(loss)]\n"
        "train = optimizer.apply_gradients(pairs)\n"
    ),
    "momentum and a rate that decays": _DENSE + (
        "step = tf.Variable(0, trainable=False)\nrate = tf.train.exponential_decay(0.3, step, 5, 0.7, staircase=True)\n"
        "train = tf.train.MomentumOptimizer(rate, 0.9).minimize(loss, global_step=step)\n"
    ),
    "Adagrad of rows": _TABLE + "train = tf.train.AdagradOptimizer(0.2).minimize(loss)\n",
    "momentum of rows": _TABLE + "train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)\n",
    "RMSProp of rows": _TABLE + "train = tf.train.RMSPropOptimizer(0.02).minimize(loss)\n",
    "a rate that is assigned": _DENSE + (
        "rate = tf.Variable(0.3, trainable=False)\n"
        "step = tf.train.GradientDescentOptimizer(rate).minimize(loss)\n"
        "with tf.control_dependencies([step]):\n    train = tf.assign(rate, rate * 0.8)\n"
    ),
    "an average that moves": _DENSE + (
        "train = tf.train.GradientDescentOptimizer(0.2).minimize(loss)\nkept = tf.Variable(0.0, trainable=False)\n"
        "train = tf.group(train, tf.assign(kept, 0.9 * kept + 0.1 * loss))\nloss = loss + 0 * kept\n"
    ),
    "only some variables": _DENSE + (
        "train = tf.train.AdamOptimizer(0.1).minimize(loss, var_list=tf.trainable_variables()[2:])\n"
    ),
    "CTC": _START + (
        "logits = tf.reshape(tf.matmul(tf.reshape(s, [-1, 4]), w(4, 4)), [8, 5, 4])\n"
        "labels = tf.SparseTensor([[n, 0] for n in range(8)], c, [8, 1])\n"
        "loss = tf.reduce_mean(tf.nn.ctc_loss(labels, tf.transpose(logits, [1, 0, 2]), tf.fill([8], 5)))\n"
        "train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)\n"
    ),
}  # fmt: skip

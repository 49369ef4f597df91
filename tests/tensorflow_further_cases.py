"""More expressions as in ``tensorflow_cases``: corners of what the others cover."""

from __future__ import annotations

import numpy as np

from tensorflow_cases import X, Y, b, case, f, i, p, these

case("tf.reduce_mean(x, (0, 1))", x=f(2, 3, 4))
case("tf.reduce_sum(x, axis=[])", X)
case("tf.reduce_max(x, -1, keepdims=True)", x=f(2, 3, 4))
case("tf.reduce_sum(tf.cast(x, tf.float32), 0)", x=b(3, 4))
case("tf.reduce_mean(tf.cast(tf.equal(tf.argmax(x, 1), tf.argmax(y, 1)), 'float'))", x=f(5, 3), y=f(5, 3))
case("tf.argmax(x, 1)  # equal values", x=these([1, 3, 3], [2, 2, 0]))
case("tf.nn.top_k(x, 2)  # equal values", x=these([1, 3, 3], [2, 2, 0]))
case("tf.nn.top_k(x, 2, sorted=True)[1]  # whole numbers", x=i(3, 2, 5))
case("tf.reshape(x, (-1, 3))", x=f(2, 6))
case("tf.reshape(x, [-1, x.get_shape()[1].value or 6])", x=f(2, 6))
case("tf.reshape(x, tf.TensorShape([12]))", x=f(2, 6))
case("tf.reshape(x, [2, -1, 3])", x=f(2, 6))
case("tf.reshape(x, tf.constant([3, 4]))", x=f(2, 6))
case("tf.one_hot(x, tf.reduce_max(x) + 1)", x=i(4, 5))
case("tf.one_hot(x, tf.shape(y)[1])", x=i(4, 5), y=f(2, 4))
case("tf.one_hot(x, 3, axis=1)", x=i(4, 2, 5))
case("tf.stack([1.0, x[0], 2.0])", x=f(3))
case("tf.constant([1, 2], shape=[4])", {})
case("tf.constant(3.5, shape=[2, 2])", {})
case("tf.convert_to_tensor([x[0], 2.0, x[1]])", x=f(3))
case("tf.concat([x, tf.zeros([tf.shape(x)[0], 2])], 1)", X)
case("tf.concat([x[:, :1], x], 1)", X)
case("tf.gather(x, y, axis=-1)", x=f(2, 5), y=i(5, 3))
case("tf.gather(x, 1)", X)
case("tf.boolean_mask(x, y, axis=1)", x=f(2, 3), y=these(True, False, True, dtype="bool"))
case("tf.split(x, tf.constant([1, 3]), 1)", x=f(2, 4))
case("tf.unstack(tf.transpose(x, [1, 0, 2]), 3)", x=f(2, 3, 4))
case("tf.split(tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, 4]), 3, 0)", x=f(2, 3, 4))
case("tf.squeeze(tf.expand_dims(x, 0), squeeze_dims=[0])", X)
case("tf.tile(tf.expand_dims(x, 1), [1, 3, 1])", X)
case("tf.transpose(x, tf.constant([1, 0]))", X)
case("tf.strided_slice(x, [0, 0], [1, 3], [1, 1], shrink_axis_mask=1)", X)
case("tf.strided_slice(x, [0, 0], [2, -1], [1, 1])", X)
case("(x[:, tf.newaxis, :], x[tf.shape(x)[0] - 1], x[:, -2:], x[0:1, ...])", X)
case("tf.nn.softmax(x)  # vectors", x=f(4))
case("tf.nn.softmax(x)  # sequences", x=f(2, 3, 4))
case("tf.nn.softmax(100 * x)", X)
case("tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=200 * y)", x=p(2, 3), y=f(2, 3))
case("tf.nn.softmax_cross_entropy_with_logits(labels=x, logits=y, dim=0)", x=p(2, 3), y=f(2, 3))
case(
    "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=x, logits=y)  # int64", x=i(3, 4).astype(np.int64), y=f(4, 3)
)
case("tf.nn.sparse_softmax_cross_entropy_with_logits(labels=x, logits=y)  # outside", x=i(3, 4) + 3, y=f(4, 3))
case("tf.nn.dropout(x, 1.0)", X)
case("tf.nn.dropout(x, rate=0.0)", X)
case("tf.gradients(tf.gradients(tf.reduce_sum(tf.tanh(x)), x)[0], x)[0]", X)
case(
    "tf.gradients(tf.gradients(tf.nn.softmax_cross_entropy_with_logits(labels=x, logits=y), y)[0] * z, y)[0]",
    x=p(2, 3), y=f(2, 3), z=f(2, 3),
)  # fmt: skip
case("tf.gradients(x * y, [x, y], grad_ys=[z])", x=f(2), y=f(2), z=f(2))
case("[tf.stop_gradient(g) for g in tf.gradients(tf.maximum(x, 0) + tf.minimum(x, y), [x, y])]", Y)
case("tf.stop_gradient(tf.gradients(tf.nn.embedding_lookup(x, y), x)[0])", x=f(4, 2), y=these(1, 1, 3, dtype="int32"))
case("tf.gradients(tf.reduce_prod(x), x)[0]", x=these(1, 2, 3))
case("tf.gradients(tf.sqrt(tf.reduce_sum(x * x)), x)[0]", X)
case("tf.gradients(tf.norm(x), x)[0]", X)
case("tf.gradients(x[0] * y[1], [x, y])", Y)
case("tf.stop_gradient(tf.gradients(tf.stop_gradient(x) * y, [y])[0])", Y)
case("tf.gradients(tf.floor(x) + tf.sign(x), [x])[0] is None or x", X)
case(
    "tf.while_loop(lambda i, a: i < 4, lambda i, a: (i + 1, tf.cond(i > 1, lambda: a * x, lambda: a + x)), [0, x])[1]",
    X,
)
case("tf.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, tf.matmul(a, y)), [0, x])[1]", x=f(2, 3), y=f(3, 3))
case(
    "ta = tf.TensorArray(tf.float32, 3, clear_after_read=False)\n"
    "_, ta = tf.while_loop(lambda i, t: i < 3, lambda i, t: (i + 1, t.write(i, x[i] * y)), [0, ta])\n"
    "out = (ta.stack(), ta.concat(), ta.gather([2, 0]), ta.read(1))",
    x=f(3), y=f(2),
)  # fmt: skip
case("tf.scan(lambda a, e: tf.tanh(tf.matmul(a, y) + e), x, tf.zeros([2, 3]))[-1]", x=f(4, 2, 3), y=f(3, 3))
case("tf.map_fn(lambda e: tf.reduce_sum(e * y), x, back_prop=True)", x=f(4, 2), y=f(2))
case("tf.map_fn(lambda e: e * 2, x)  # whole numbers", x=i(5, 4))
case("x + 1  # a number for whole numbers", x=i(5, 4))
case("x + 1.5  # a fraction for whole numbers", x=i(5, 4))
case("x * np.float64(2.0)", X)
case("x - np.ones((2, 3))  # float64", X)
case("(1.0 / tf.cast(x, tf.float32), tf.cast(x, tf.float32) ** 0.5)", x=i(5, 4) + 1)
case("tf.pow(x, 2)  # whole numbers", x=i(5, 4))
case("tf.losses.mean_squared_error(x, y, weights=z)  # rows", x=p(2, 3), y=p(2, 3), z=p(2, 1))
case("tf.losses.sparse_softmax_cross_entropy(x, y)  # one column", x=i(3, 2, 1), y=f(2, 3))
case("tf.losses.softmax_cross_entropy(x, y, reduction=tf.losses.Reduction.NONE)", x=p(2, 3), y=f(2, 3))
case("v = tf.Variable(x[0] * 2)\nout = tf.assign_add(v, [1.0, 1.0])", x=these([1, 2], [3, 4]))
case("v = tf.Variable([[1.0], [2.0], [3.0]])\nout = tf.scatter_add(v, [0, 0, 2], [[1.0], [1.0], [5.0]])", {})
case(
    "first = tf.constant_initializer([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])\n"
    "out = tf.get_variable('v', [2, 3], initializer=first) * x",
    X,
)
case("tf.fill([2, 3], tf.reduce_sum(x))", X)
case("(tf.zeros_like(x, dtype=tf.int32), tf.ones_like(x), tf.shape(x, out_type=tf.int64))", X)
case("tf.nn.max_pool(x, [1, 1, 3, 1], [1, 1, 2, 1], 'SAME')", x=f(2, 1, 7, 3))
case("tf.sequence_mask(x, 4, tf.float32) * y", x=i(5, 3), y=f(3, 4))

"""More expressions as in ``tensorflow_cases``: networks, losses, conditions and loops, schedules, sparse tensors."""

from __future__ import annotations

import tensorflow_further_cases  # noqa: F401  (its cases)
import tensorflow_loop_cases  # noqa: F401
from tensorflow_cases import CASES, X, Y, case, f, i, p, these

__all__ = ["CASES"]

# Networks.
case("tf.nn.bias_add(x, y)", x=f(2, 3), y=f(3))
case("tf.nn.bias_add(x, y)  # another size", x=f(2, 3), y=f(4))
case("tf.nn.xw_plus_b(x, y, z)", x=f(2, 3), y=f(3, 4), z=f(4))
case("tf.nn.relu_layer(x, y, z)", x=f(2, 3), y=f(3, 4), z=f(4))
case("tf.nn.softmax(x, axis=0)", X)
case("tf.nn.softmax(x, dim=1)", X)
case("tf.nn.softmax_cross_entropy_with_logits(labels=x, logits=y)", x=p(2, 3), y=f(2, 3))
case("tf.nn.softmax_cross_entropy_with_logits_v2(labels=x, logits=y)", x=p(2, 3), y=f(2, 3))
case("tf.nn.softmax_cross_entropy_with_logits(labels=x, logits=y)  # sequences", x=p(2, 4, 3), y=f(2, 4, 3))
case("tf.nn.softmax_cross_entropy_with_logits(labels=x, logits=y)  # sizes", x=p(2, 3), y=f(2, 4))
case("tf.nn.softmax_cross_entropy_with_logits_v2(labels=x, logits=y)  # one row of logits", x=p(2, 3), y=f(1, 3))
case("tf.nn.sparse_softmax_cross_entropy_with_logits(labels=x, logits=y)", x=i(3, 2), y=f(2, 3))
case("tf.nn.sparse_softmax_cross_entropy_with_logits(labels=x, logits=y)  # sequences", x=i(3, 2, 4), y=f(2, 4, 3))
case("tf.nn.sparse_softmax_cross_entropy_with_logits(labels=x, logits=y)  # ranks", x=i(3, 2, 1), y=f(2, 3))
case("tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=y)", x=p(2, 3), y=f(2, 3))
case("tf.nn.weighted_cross_entropy_with_logits(x, y, 2.0)", x=p(2, 3), y=f(2, 3))
case("tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=y)  # sizes", x=p(2, 3), y=f(2, 4))
case("(tf.nn.l2_normalize(x, 1), tf.nn.l2_normalize(x, dim=0), tf.nn.l2_normalize(x, [0, 1]))", X)
case("tf.nn.moments(x, [0])", x=f(4, 3))
case("tf.nn.moments(x, [0, 1], keep_dims=True)", x=f(4, 3, 2))
case("tf.nn.batch_normalization(x, y, z, y, z, 0.001)", x=f(4, 3), y=f(3), z=p(3))
case("tf.nn.batch_normalization(x, y, z, None, None, 0.001)", x=f(4, 3), y=f(3), z=p(3))
for _scaled in (True, False):
    code = f"tf.nn.batch_norm_with_global_normalization(x, y, z, z, y, 0.001, {_scaled})"
    case(code, x=f(2, 2, 2, 3), y=f(3), z=p(3))
case("tf.nn.zero_fraction(x)", x=i(2, 3, 4).astype("float32"))
case("tf.nn.lrn(x, 2)", x=f(1, 2, 2, 6))
case("tf.nn.log_poisson_loss(tf.abs(x), y)", Y)
for _padding in ("SAME", "VALID"):
    case(f"tf.nn.conv2d(x, y, [1, 2, 2, 1], '{_padding}')", x=f(2, 6, 5, 3), y=f(3, 2, 3, 4))
    case(f"tf.nn.conv2d(x, y, strides=[1, 1, 1, 1], padding='{_padding}')", x=f(2, 6, 5, 3), y=f(4, 3, 3, 2))
    case(f"tf.nn.conv1d(x, y, 2, '{_padding}')", x=f(2, 7, 3), y=f(3, 3, 4))
    case(f"tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], '{_padding}')", x=f(2, 5, 5, 3))
    case(f"tf.nn.avg_pool(x, [1, 3, 2, 1], [1, 2, 2, 1], '{_padding}')", x=f(2, 5, 5, 3))
    case(f"tf.nn.max_pool(x, ksize=[1, 3, 3, 1], strides=[1, 1, 1, 1], padding='{_padding}')", x=f(2, 5, 5, 3))
    case(f"tf.nn.depthwise_conv2d(x, y, [1, 1, 1, 1], '{_padding}')", x=f(2, 5, 5, 3), y=f(3, 3, 3, 2))
    case(f"tf.nn.convolution(x, y, '{_padding}')", x=f(2, 7, 3), y=f(3, 3, 4))
    case(f"tf.nn.atrous_conv2d(x, y, 2, '{_padding}')", x=f(2, 7, 7, 3), y=f(3, 3, 3, 2))
case("tf.nn.conv2d(x, y, [1, 1, 1, 1], 'SAME')  # depths", x=f(2, 6, 5, 3), y=f(3, 2, 4, 4))
case("tf.nn.conv2d_transpose(x, y, [2, 8, 8, 3], [1, 2, 2, 1], 'SAME')", x=f(2, 4, 4, 5), y=f(3, 3, 3, 5))
# Losses.
for _name in ["mean_squared_error", "absolute_difference", "hinge_loss", "log_loss", "huber_loss"]:
    case(f"tf.losses.{_name}(x, y)", x=p(2, 3), y=p(2, 3))
case("tf.losses.mean_squared_error(x, y, weights=z)", x=p(2, 3), y=p(2, 3), z=these([1], [0]))
case("tf.losses.mean_squared_error(x, y)  # shapes", x=p(2, 3), y=p(2, 4))
case("tf.losses.absolute_difference(x, y, reduction='none')", x=p(2, 3), y=p(2, 3))
case("tf.losses.absolute_difference(x, y, weights=0.5, reduction='weighted_sum')", x=p(2, 3), y=p(2, 3))
case("tf.losses.absolute_difference(x, y, weights=2.0, reduction='weighted_mean')", x=p(2, 3), y=p(2, 3))
case("tf.losses.softmax_cross_entropy(x, y)", x=p(2, 3), y=f(2, 3))
case("tf.losses.softmax_cross_entropy(x, y, label_smoothing=0.1, weights=[1.0, 3.0])", x=p(2, 3), y=f(2, 3))
case("tf.losses.sparse_softmax_cross_entropy(x, y)", x=i(3, 2), y=f(2, 3))
case("tf.losses.sparse_softmax_cross_entropy(x, y, weights=z)", x=i(3, 2), y=f(2, 3), z=p(2))
case("tf.losses.sigmoid_cross_entropy(x, y, label_smoothing=0.2)", x=p(2, 3), y=f(2, 3))
case("tf.losses.cosine_distance(x, y, axis=1)", x=f(2, 3), y=f(2, 3))
case("tf.losses.compute_weighted_loss(x, y)", x=p(2, 3), y=these([1, 0, 2], [0, 0, 1]))
case(
    "a = tf.losses.mean_squared_error(x, y)\nb = tf.losses.absolute_difference(x, y)\ntf.losses.add_loss(a * 3)\n"
    "out = (tf.losses.get_total_loss(), len(tf.losses.get_losses()) + 0 * a, tf.add_n(tf.get_collection('losses')))",
    x=p(2, 3), y=p(2, 3),
)  # fmt: skip
case("out = (lambda v, u: tf.tuple([u, v]))(*tf.metrics.accuracy(x, y))[0]", x=i(2, 6), y=i(2, 6))
case("out = tf.metrics.mean(x, y)[1]", x=f(6), y=p(6))
case("out = tf.metrics.mean_squared_error(x, y)[1]", x=f(6), y=f(6))
# Conditions and loops.
case("tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: -x)", X)
case("tf.cond(tf.reduce_sum(x) < 0, lambda: x * 2, lambda: -x)", X)
case("tf.cond(tf.reduce_sum(x) > 0, lambda: [x, x + 1], lambda: [y, y * 3])", Y)
case("tf.case([(tf.reduce_sum(x) > 100, lambda: x), (tf.reduce_sum(x) > -100, lambda: x * 5)], default=lambda: -x)", X)
case("tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * x), [tf.constant(0), tf.ones_like(x)])[1]", X)
case("tf.while_loop(lambda a: tf.reduce_sum(a) < 50, lambda a: a * 2, [tf.abs(x)])", X)
case("tf.while_loop(lambda i, a: i < tf.shape(x)[0], lambda i, a: [i + 1, a + x[i]], (0, tf.zeros([3])))", X)
case(
    "tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.concat([a, a], 0)), [0, x], "
    "shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, 3])])",
    X,
)
case("tf.scan(lambda a, e: a * y + e, x)", x=f(5, 2), y=f(2))
case("tf.scan(lambda a, e: a * 0.5 + e, x, initializer=y)", x=f(5, 2), y=f(2))
case("tf.scan(lambda a, e: (a[0] + e, a[1] * e), x, initializer=(y, y))", x=f(5, 2), y=f(2))
case("tf.map_fn(lambda e: e * tf.reduce_sum(y), x)", x=f(5, 2), y=f(2))
case("tf.map_fn(lambda e: (e[0] + e[1], e[0]), (x, y), dtype=(tf.float32, tf.float32))", x=f(5, 2), y=f(5, 2))
case("tf.foldl(lambda a, e: a * 0.5 + e, x)", x=f(5, 2))
case("tf.foldr(lambda a, e: a * 0.5 + e, x, y)", x=f(5, 2), y=f(2))
case("tf.identity_n([x, y])", Y)
case("tf.py_func(lambda a: (a * 2).astype(np.float32), [x], tf.float32)", X)
case("tf.Print(x, [x], 'x is ')", X)
case("with tf.control_dependencies([tf.no_op(), tf.group(x, x)]):\n    out = tf.identity(x)", X)
case("with tf.device('/cpu:0'):\n    out = x + 1", X)
# Schedules.
for _step in (0, 7, 25):
    _k = f"tf.constant({_step})"
    case(f"tf.train.exponential_decay(0.1, {_k}, 10, 0.9)", {})
    case(f"tf.train.exponential_decay(0.1, {_k}, 10, 0.9, staircase=True)", {})
    case(f"tf.train.natural_exp_decay(0.1, {_k}, 10, 0.9)", {})
    case(f"tf.train.inverse_time_decay(0.1, {_k}, 10, 0.9)", {})
    case(f"tf.train.polynomial_decay(0.1, {_k}, 20, 0.01, power=2.0)", {})
    case(f"tf.train.polynomial_decay(0.1, {_k}, 20, 0.01, cycle=True)", {})
    case(f"tf.train.cosine_decay(0.1, {_k}, 20)", {})
    case(f"tf.train.piecewise_constant({_k}, [5, 10], [1.0, 0.5, 0.1])", {})
# Sparse tensors and CTC.
case(
    "tf.nn.ctc_loss(tf.SparseTensor([[0, 0], [0, 1], [1, 0]], tf.constant([1, 2, 0]), [2, 2]), x, tf.constant([5, 4]))",
    x=f(5, 2, 4),
)
case("tf.sparse_tensor_to_dense(tf.SparseTensor([[0, 0], [1, 2]], tf.constant([1, 2]), [2, 3]), -1)", {})
case("tf.sparse_to_dense([[0, 0], [1, 2]], [2, 3], [5.0, 6.0])", {})
case(
    "tf.edit_distance(tf.SparseTensor([[0, 0], [0, 1], [1, 0]], tf.constant([1, 2, 3]), [2, 2]), "
    "tf.SparseTensor([[0, 0], [1, 0], [1, 1]], tf.constant([1, 3, 4]), [2, 2]))",
    {},
)
case("out = tf.sparse_tensor_to_dense(tf.nn.ctc_greedy_decoder(x, tf.constant([5, 4]))[0][0], -1)", x=3 * f(5, 2, 4))
case("tf.nn.ctc_greedy_decoder(x, tf.constant([5, 4]), merge_repeated=False)[1]", x=3 * f(5, 2, 4))

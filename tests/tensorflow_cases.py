"""Expressions that must mean the same under TensorFlow and under Holdfast: the code, and the values of its names."""

from __future__ import annotations

from typing import Any

import numpy as np

_DRAW = np.random.RandomState(3)


def f(*shape: int) -> Any:
    """Fractions."""
    return _DRAW.standard_normal(shape).astype(np.float32)


def p(*shape: int) -> Any:
    """Positive fractions below 1."""
    return (0.1 + 0.8 * _DRAW.random_sample(shape)).astype(np.float32)


def i(high: int, *shape: int) -> Any:
    """Whole numbers."""
    return _DRAW.randint(0, high, shape).astype(np.int32)


def b(*shape: int) -> Any:
    """Booleans."""
    return _DRAW.random_sample(shape) < 0.5


def these(*values: Any, dtype: str = "float32") -> Any:
    return np.array(values, dtype=dtype)


_X, _Y, _B = {"x": f(2, 3)}, {"x": f(2, 3), "y": f(2, 3)}, {"x": b(2, 3), "y": b(2, 3)}
_I = {"x": i(9, 2, 3) - 4, "y": i(4, 2, 3) + 1}

CASES: dict[str, tuple[str, dict[str, Any]]] = {}


def case(code: str, feeds: dict[str, Any] | None = None, **more: Any) -> None:
    CASES[code] = (code, {**(feeds or {}), **more})


for _name in [
    "abs",
    "exp",
    "square",
    "sign",
    "floor",
    "ceil",
    "round",
    "sin",
    "cos",
    "tan",
    "tanh",
    "sigmoid",
    "negative",
    "erf",
    "nn.relu",
    "nn.relu6",
    "nn.elu",
    "nn.selu",
    "nn.softplus",
    "nn.softsign",
    "nn.leaky_relu",
    "log_sigmoid",
    "expm1",
    "atan",
    "is_nan",
    "is_inf",
    "is_finite",
    "sinh",
    "cosh",
    "asinh",
    "nn.crelu",
    "nn.softmax",
    "nn.log_softmax",
    "zeros_like",
    "ones_like",
    "stop_gradient",
    "rank",
    "shape",
    "size",
    "nn.l2_loss",
]:
    case(f"tf.{_name}(x)", _X)
for _name in ["log", "log1p", "sqrt", "rsqrt", "reciprocal", "acos", "asin", "lgamma", "digamma", "acosh", "atanh"]:
    case(f"tf.{_name}(x)", {"x": p(2, 3) + (1 if _name == "acosh" else 0)})
for _name in [
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "minimum",
    "squared_difference",
    "atan2",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "div",
    "truediv",
    "floordiv",
    "mod",
    "floormod",
    "div_no_nan",
]:
    case(f"tf.{_name}(x, y)", _Y)
for _name in [
    "add",
    "subtract",
    "multiply",
    "maximum",
    "minimum",
    "div",
    "truediv",
    "floordiv",
    "floormod",
    "truncatediv",
    "truncatemod",
    "equal",
    "less",
]:
    case(f"tf.{_name}(x, y)  # whole numbers", _I)
for _name in ["logical_and", "logical_or", "logical_xor"]:
    case(f"tf.{_name}(x, y)", _B)
case("tf.pow(x, y)", x=p(2, 3), y=f(2, 3))
case("tf.add(x, y)  # broadcast", x=f(2, 1, 3), y=f(4, 1))
case("tf.add(x, y)  # shapes that do not fit", x=f(2, 3), y=f(2, 4))
case("x + tf.cast(y, tf.float32) * 2 - 1 / x", x=f(2, 3), y=i(5, 2, 3))
case("x + y  # other dtypes", x=f(2, 3), y=i(5, 2, 3))
case("x / y  # whole numbers", _I)
case("x // y", _I)
case("x % y", _I)
case("(x > 0.1) & ~(x > 1)", _X)
case("(-x, abs(x), 2 ** x, x ** 2, 3 - x, 3 / x)", x=p(3))
case("tf.logical_not(x)", x=b(4))
case("tf.add_n([x, y, x])", _Y)
case("bool(x > 0)", _X)
case("[each for each in x]", _X)
for _name in ["reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod", "reduce_logsumexp"]:
    case(f"tf.{_name}(x)", _X)
    case(f"tf.{_name}(x, 1)", _X)
    case(f"tf.{_name}(x, [0, -1], keepdims=True)", x=f(2, 3, 4))
    case(f"tf.{_name}(x, reduction_indices=[0])", _X)
    case(f"tf.{_name}(x, 1, keep_dims=True)", _X)
case("tf.reduce_sum(x, 0)  # whole numbers", _I)
case("tf.reduce_mean(x, 0)  # whole numbers", _I)
case("tf.reduce_sum(x, 5)", _X)
case("(tf.reduce_all(x, 0), tf.reduce_any(x, 1), tf.reduce_all(x))", x=b(2, 3))
case("tf.reduce_max(x)  # several of them", x=these([1, 3, 3], [3, 0, 1]))
case("tf.maximum(x, y)  # equal values", x=these(1, 2), y=these(1, 2))
case("(tf.argmax(x, 1), tf.argmin(x, 0), tf.argmax(x), tf.argmax(x, axis=-1, output_type=tf.int32))", _X)
case("(tf.cumsum(x), tf.cumsum(x, 1, exclusive=True), tf.cumsum(x, 1, reverse=True))", _X)
case("(tf.cumsum(x, 1, True, True), tf.cumprod(x, 1), tf.cumprod(x, 0, exclusive=True))", _X)
case("(tf.norm(x), tf.norm(x, axis=1), tf.norm(x, 1, axis=0, keepdims=True), tf.norm(x, np.inf))", _X)
case("(tf.count_nonzero(x), tf.count_nonzero(x, 1))", x=i(2, 3, 4))
case("tf.confusion_matrix(x, y, 3)", x=i(3, 5), y=i(3, 5))
case("tf.bincount(x, minlength=5, maxlength=8)", x=i(5, 9))
# Products.
case("tf.matmul(x, y)", x=f(2, 3), y=f(3, 4))
case("tf.matmul(x, y, transpose_a=True, transpose_b=True)", x=f(3, 2), y=f(4, 3))
case("tf.matmul(x, y)  # batches", x=f(5, 2, 3), y=f(5, 3, 4))
case("tf.matmul(x, y)  # sizes that do not fit", x=f(2, 3), y=f(4, 3))
case("tf.matmul(x, y)  # vectors", x=f(3), y=f(3, 4))
case("tf.matmul(x, y)  # other dtypes", x=f(2, 3), y=i(3, 3, 4))
case("x @ y", x=f(2, 3), y=f(3, 4))
case("tf.tensordot(x, y, 1)", x=f(2, 5, 3), y=f(3, 4))
case("tf.tensordot(x, y, [[1], [0]])", x=f(2, 3), y=f(3, 4))
case("tf.einsum('bij,jk->bik', x, y)", x=f(2, 5, 3), y=f(3, 4))
case("tf.einsum('bi,bj->bij', x, y)", x=f(2, 5), y=f(2, 3))
case("tf.linalg.matvec(x, y)", x=f(2, 3), y=f(3))
case("(tf.diag(x), tf.matrix_diag(x), tf.matrix_diag(tf.stack([x, x])))", x=f(3))
case("(tf.diag_part(x), tf.matrix_diag_part(x), tf.trace(x))", x=f(3, 3))
case("tf.matrix_band_part(x, 1, 0)", x=f(4, 4))
case("tf.matrix_band_part(x, -1, 0)", x=f(2, 3, 4))
case("(tf.matrix_inverse(x), tf.matrix_determinant(x), tf.matrix_transpose(x))", x=f(3, 3))
case("tf.matrix_set_diag(x, y)", x=f(3, 3), y=f(3))
case("tf.cholesky(tf.matmul(x, x, transpose_b=True) + 3 * tf.eye(3))", x=f(3, 3))
case("tf.matrix_solve(x, y)", x=f(3, 3), y=f(3, 2))
case("tf.eye(3, 4)", {})
# Shapes.
case("tf.reshape(x, [-1, 2])", x=f(4, 3))
case("tf.reshape(x, [5, -1])", x=f(4, 3))
case("tf.reshape(x, [-1])", x=f(4, 3))
case("tf.reshape(x, [])", x=f(1))
case("tf.reshape(x, [tf.shape(x)[0], 2, -1])", x=f(4, 6))
case("tf.reshape(x, tf.stack([tf.shape(x)[1], -1]))", x=f(4, 6))
case("tf.reshape(x, tf.concat([tf.shape(x)[:1], [3, 2]], 0))", x=f(4, 6))
case("tf.reshape(x, tf.shape(y))", x=f(4, 3), y=f(6, 2))
case("tf.transpose(x)", x=f(2, 3, 4))
case("tf.transpose(x, [1, 0, 2])", x=f(2, 3, 4))
case("tf.transpose(x, [1, 0])", x=f(2, 3, 4))
case("tf.expand_dims(x, 1)", x=f(2, 3))
case("tf.expand_dims(x, dim=-1)", x=f(2, 3))
case("tf.squeeze(x, [1])", x=f(2, 1, 3))
case("tf.squeeze(x)", x=f(2, 1, 3, 1))
case("tf.squeeze(x, 0)", x=f(2, 1, 3))
case("tf.concat([x, y], 1)", x=f(2, 3), y=f(2, 4))
case("tf.concat([x, y], 0)", x=f(2, 3), y=f(2, 4))
case("tf.concat((x, x), axis=-1)", x=f(2, 3))
case("tf.stack([x, y], 1)", _Y)
case("tf.stack([x, x], axis=-1)", _X)
case("tf.unstack(x, 3, 1)", x=f(2, 3, 4))
case("tf.unstack(x, axis=1)", x=f(2, 3, 4))
case("tf.unstack(x, num=2)", x=f(2, 3, 4))
case("tf.split(x, 3, 1)", x=f(2, 6))
case("tf.split(x, [1, 2, 3], 1)", x=f(2, 6))
case("tf.split(x, [1, -1], axis=1)", x=f(2, 6))
case("tf.split(x, 4, 1)", x=f(2, 6))
case("tf.split(value=x, num_or_size_splits=2, axis=0)", x=f(2, 6))
case("tf.tile(x, [2, 3])", x=f(2, 3))
case("tf.tile(x, tf.stack([tf.shape(x)[0], 1]))", x=f(2, 3))
case("tf.pad(x, [[1, 2], [0, 1]])", x=f(2, 3))
case("tf.pad(x, [[1, 1], [2, 0]], constant_values=5)", x=f(2, 3))
case("tf.pad(x, [[1, 1], [2, 0]], 'REFLECT')", x=f(2, 3))
case("tf.pad(x, [[1, 1], [2, 0]], mode='SYMMETRIC')", x=f(2, 3))
case("tf.pad(x, [[0, 1], [0, 1]])  # whole numbers", x=i(5, 2, 3))
case("tf.reverse(x, [1])", x=f(2, 3))
case("tf.reverse(x, axis=[-1, 0])", x=f(2, 3))
case("tf.roll(x, 1, 0)", x=f(4, 3))
case("tf.reverse_sequence(x, y, seq_axis=1)", x=f(3, 4, 2), y=these(4, 2, 1, dtype="int32"))
case("tf.reverse_sequence(x, y, seq_dim=0, batch_dim=1)", x=f(4, 3, 2), y=these(4, 2, 1, dtype="int64"))
case("tf.broadcast_to(x, [2, 3, 4])", x=f(3, 1))
case("(tf.zeros([2, 3]), tf.ones([2], tf.int32), tf.fill([2, 2], 7.0), tf.zeros([]))", {})
case("(tf.zeros([tf.shape(x)[0], 4]), tf.fill([tf.shape(x)[0]], 3), tf.ones(tf.shape(x)))", x=f(2, 3))
case("(tf.range(5), tf.range(2, 8, 3), tf.range(3.0), tf.range(0, 1, 0.25), tf.lin_space(0.0, 1.0, 5))", {})
case("tf.range(tf.shape(x)[0])", x=f(2, 3))
case("tf.meshgrid(x, y)", x=f(2), y=f(3))
case("tf.meshgrid(x, y, indexing='ij')", x=f(2), y=f(3))
case("tf.sequence_mask(x, 5)", x=i(5, 3))
case("tf.sequence_mask(x, maxlen=4, dtype=tf.float32)", x=i(5, 2, 3))
case("tf.sequence_mask(x)", x=these(1, 3, 2, dtype="int32"))
case("tf.sequence_mask(x, tf.reduce_max(x))", x=these(1, 3, 2, dtype="int32"))
case("tf.one_hot(x, 4)", x=i(5, 2, 3))
case("tf.one_hot(x, 4, 2.0, -1.0, axis=0)", x=i(5, 2, 3))
case("tf.one_hot(x, depth=3, dtype=tf.int32)", x=i(5, 3))
case("tf.one_hot(x, 3, on_value=True, off_value=False)", x=i(5, 3))
case("tf.where(x > 0, x, y)", _Y)
case("tf.where(x, y, -y)", x=b(3), y=f(3, 2))
case("tf.where(x)", x=b(3, 2))
case(
    "(tf.cast(x, tf.int32), tf.cast(x, 'float64'), tf.to_float(tf.to_int32(x)), tf.to_int64(x), tf.cast(x > 0, tf.int32))",
    x=3 * f(5),
)
case("(tf.saturate_cast(x, tf.uint8), tf.cast(x, tf.bool))", x=300 * f(5))
case("tf.clip_by_value(x, -0.5, 0.5)", _X)
case("tf.clip_by_norm(x, 0.5)", _X)
case("tf.clip_by_norm(x, 0.5, axes=[1])", _X)
case("tf.clip_by_norm(x, 50.0)", _X)
case("tf.clip_by_average_norm(x, 0.1)", _X)
case("tf.clip_by_global_norm([x, None, y], 0.7)[0][0::2]", _Y)
case("tf.clip_by_global_norm([x, y], 70.0)", _Y)
case("tf.global_norm([x, y])", _Y)
# Picking.
case("tf.gather(x, y)", x=f(5, 3), y=i(5, 2, 2))
case("tf.gather(x, y, axis=1)", x=f(2, 5, 3), y=i(5, 2))
case("tf.gather(x, tf.constant([0, 7]))", x=f(5, 3))
case("tf.gather_nd(x, y)", x=f(5, 3, 2), y=i(3, 4, 2))
case("tf.gather_nd(x, y)  # values", x=f(5, 3), y=i(3, 4, 2))
case("tf.gather_nd(x, tf.stack([tf.range(2), y], 1))", x=f(2, 4), y=i(4, 2))
case("tf.scatter_nd(y, x, [6, 2])", x=f(3, 2), y=these([0], [4], [0], dtype="int32"))
case("tf.boolean_mask(x, y)", x=f(3, 2), y=these(True, False, True, dtype="bool"))
case("tf.boolean_mask(x, x > 0)", x=f(3, 2))
case("tf.nn.embedding_lookup(x, y)", x=f(5, 3), y=i(5, 2, 2))
case("(x[0], x[-1], x[:, 1], x[:, -1, :], x[..., 0], x[1:, :2], x[:, None], x[::2], x[::-1])", x=f(3, 4, 2))
case("(x[:, 1:], x[:-1], x[..., tf.newaxis], x[0, 1, 0], x[y], x[:, y:])", x=f(3, 4, 2), y=these(1, dtype="int32")[0])
case("x[7]", x=f(3, 4))
case("x[0, 0, 0]", x=f(3, 4))
case("(tf.slice(x, [0, 1], [2, -1]), tf.strided_slice(x, [0, 0], [2, 3], [1, 2]))", x=f(3, 4))
case("tf.strided_slice(x, [0, 0], [tf.shape(x)[0], -1], [1, 1])", x=f(3, 4))
case("tf.slice(x, [0, 0], [tf.shape(x)[0], 2])", x=f(3, 4))
case("(tf.unique(x), tf.unique_with_counts(x))", x=these(4, 1, 4, 2, 1, dtype="int32"))
case("tf.setdiff1d(x, y)", x=these(1, 2, 3, 4, dtype="int32"), y=these(2, 4, dtype="int32"))
case("tf.invert_permutation(x)", x=these(2, 0, 1, dtype="int32"))
case("tf.dynamic_partition(x, y, 2)", x=f(4, 2), y=i(2, 4))
case("tf.dynamic_stitch([tf.constant([0, 2]), tf.constant([1])], [x, y])", x=f(2, 3), y=f(1, 3))
case(
    "(tf.segment_sum(x, y), tf.segment_mean(x, y), tf.segment_max(x, y))", x=f(4, 2), y=these(0, 0, 1, 2, dtype="int32")
)
case("tf.unsorted_segment_sum(x, y, 4)", x=f(4, 2), y=i(4, 4))
case("(tf.nn.top_k(x, 2), tf.nn.in_top_k(x, y, 2))", x=f(3, 5), y=i(5, 3))
case("tf.argsort(x)", x=f(3, 5))
case("tf.argsort(x, 0, direction='DESCENDING')", x=f(3, 5))
case("(tf.sort(x), tf.sort(x, direction='DESCENDING'))", x=f(3, 5))
# Networks.
case("tf.nn.bias_add(x, y)", x=f(2, 3), y=f(3))
case("tf.nn.bias_add(x, y)  # another size", x=f(2, 3), y=f(4))
case("tf.nn.xw_plus_b(x, y, z)", x=f(2, 3), y=f(3, 4), z=f(4))
case("tf.nn.relu_layer(x, y, z)", x=f(2, 3), y=f(3, 4), z=f(4))
case("tf.nn.softmax(x, axis=0)", _X)
case("tf.nn.softmax(x, dim=1)", _X)
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
case("(tf.nn.l2_normalize(x, 1), tf.nn.l2_normalize(x, dim=0), tf.nn.l2_normalize(x, [0, 1]))", _X)
case("tf.nn.moments(x, [0])", x=f(4, 3))
case("tf.nn.moments(x, [0, 1], keep_dims=True)", x=f(4, 3, 2))
case("tf.nn.batch_normalization(x, y, z, y, z, 0.001)", x=f(4, 3), y=f(3), z=p(3))
case("tf.nn.batch_normalization(x, y, z, None, None, 0.001)", x=f(4, 3), y=f(3), z=p(3))
case("tf.nn.zero_fraction(x)", x=i(2, 3, 4).astype("float32"))
case("tf.nn.lrn(x, 2)", x=f(1, 2, 2, 6))
case("tf.nn.log_poisson_loss(tf.abs(x), y)", _Y)
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
case("tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: -x)", _X)
case("tf.cond(tf.reduce_sum(x) < 0, lambda: x * 2, lambda: -x)", _X)
case("tf.cond(tf.reduce_sum(x) > 0, lambda: [x, x + 1], lambda: [y, y * 3])", _Y)
case("tf.case([(tf.reduce_sum(x) > 100, lambda: x), (tf.reduce_sum(x) > -100, lambda: x * 5)], default=lambda: -x)", _X)
case("tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * x), [tf.constant(0), tf.ones_like(x)])[1]", _X)
case("tf.while_loop(lambda a: tf.reduce_sum(a) < 50, lambda a: a * 2, [tf.abs(x)])", _X)
case("tf.while_loop(lambda i, a: i < tf.shape(x)[0], lambda i, a: [i + 1, a + x[i]], (0, tf.zeros([3])))", _X)
case(
    "tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.concat([a, a], 0)), [0, x], shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, 3])])",
    _X,
)
case("tf.scan(lambda a, e: a * y + e, x)", x=f(5, 2), y=f(2))
case("tf.scan(lambda a, e: a * 0.5 + e, x, initializer=y)", x=f(5, 2), y=f(2))
case("tf.scan(lambda a, e: (a[0] + e, a[1] * e), x, initializer=(y, y))", x=f(5, 2), y=f(2))
case("tf.map_fn(lambda e: e * tf.reduce_sum(y), x)", x=f(5, 2), y=f(2))
case("tf.map_fn(lambda e: (e[0] + e[1], e[0]), (x, y), dtype=(tf.float32, tf.float32))", x=f(5, 2), y=f(5, 2))
case("tf.foldl(lambda a, e: a * 0.5 + e, x)", x=f(5, 2))
case("tf.foldr(lambda a, e: a * 0.5 + e, x, y)", x=f(5, 2), y=f(2))
case("tf.identity_n([x, y])", _Y)
case("tf.py_func(lambda a: (a * 2).astype(np.float32), [x], tf.float32)", _X)
case("tf.Print(x, [x], 'x is ')", _X)
case("with tf.control_dependencies([tf.no_op(), tf.group(x, x)]):\n    out = tf.identity(x)", _X)
case("with tf.device('/cpu:0'):\n    out = x + 1", _X)
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
    "tf.edit_distance(tf.SparseTensor([[0, 0], [0, 1], [1, 0]], tf.constant([1, 2, 3]), [2, 2]), tf.SparseTensor([[0, 0], [1, 0], [1, 1]], tf.constant([1, 3, 4]), [2, 2]))",
    {},
)
case("out = tf.sparse_tensor_to_dense(tf.nn.ctc_greedy_decoder(x, tf.constant([5, 4]))[0][0], -1)", x=3 * f(5, 2, 4))
case("tf.nn.ctc_greedy_decoder(x, tf.constant([5, 4]), merge_repeated=False)[1]", x=3 * f(5, 2, 4))

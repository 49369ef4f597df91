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


X, Y, BOOLS = {"x": f(2, 3)}, {"x": f(2, 3), "y": f(2, 3)}, {"x": b(2, 3), "y": b(2, 3)}
WHOLE = {"x": i(9, 2, 3) - 4, "y": i(4, 2, 3) + 1}

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
    case(f"tf.{_name}(x)", X)
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
    case(f"tf.{_name}(x, y)", Y)
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
    case(f"tf.{_name}(x, y)  # whole numbers", WHOLE)
for _name in ["logical_and", "logical_or", "logical_xor"]:
    case(f"tf.{_name}(x, y)", BOOLS)
case("tf.pow(x, y)", x=p(2, 3), y=f(2, 3))
case("tf.add(x, y)  # broadcast", x=f(2, 1, 3), y=f(4, 1))
case("tf.add(x, y)  # shapes that do not fit", x=f(2, 3), y=f(2, 4))
case("x + tf.cast(y, tf.float32) * 2 - 1 / x", x=f(2, 3), y=i(5, 2, 3))
case("x + y  # other dtypes", x=f(2, 3), y=i(5, 2, 3))
case("x / y  # whole numbers", WHOLE)
case("x // y", WHOLE)
case("x % y", WHOLE)
case("(x > 0.1) & ~(x > 1)", X)
case("(-x, abs(x), 2 ** x, x ** 2, 3 - x, 3 / x)", x=p(3))
case("tf.logical_not(x)", x=b(4))
case("tf.add_n([x, y, x])", Y)
case("bool(x > 0)", X)
case("[each for each in x]", X)
for _name in ["reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod", "reduce_logsumexp"]:
    case(f"tf.{_name}(x)", X)
    case(f"tf.{_name}(x, 1)", X)
    case(f"tf.{_name}(x, [0, -1], keepdims=True)", x=f(2, 3, 4))
    case(f"tf.{_name}(x, reduction_indices=[0])", X)
    case(f"tf.{_name}(x, 1, keep_dims=True)", X)
case("tf.reduce_sum(x, 0)  # whole numbers", WHOLE)
case("tf.reduce_mean(x, 0)  # whole numbers", WHOLE)
case("tf.reduce_sum(x, 5)", X)
case("(tf.reduce_all(x, 0), tf.reduce_any(x, 1), tf.reduce_all(x))", x=b(2, 3))
case("tf.reduce_max(x)  # several of them", x=these([1, 3, 3], [3, 0, 1]))
case("tf.maximum(x, y)  # equal values", x=these(1, 2), y=these(1, 2))
case("(tf.argmax(x, 1), tf.argmin(x, 0), tf.argmax(x), tf.argmax(x, axis=-1, output_type=tf.int32))", X)
case("(tf.cumsum(x), tf.cumsum(x, 1, exclusive=True), tf.cumsum(x, 1, reverse=True))", X)
case("(tf.cumsum(x, 1, True, True), tf.cumprod(x, 1), tf.cumprod(x, 0, exclusive=True))", X)
case("(tf.norm(x), tf.norm(x, axis=1), tf.norm(x, 1, axis=0, keepdims=True), tf.norm(x, np.inf))", X)
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
case("tf.stack([x, y], 1)", Y)
case("tf.stack([x, x], axis=-1)", X)
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
case("tf.where(x > 0, x, y)", Y)
case("tf.where(x, y, -y)", x=b(3), y=f(3, 2))
case("tf.where(x)", x=b(3, 2))
case(
    "(tf.cast(x, tf.int32), tf.cast(x, 'float64'), tf.to_float(tf.to_int32(x)), "
    "tf.to_int64(x), tf.cast(x > 0, tf.int32))",
    x=3 * f(5),
)
case("(tf.saturate_cast(x, tf.uint8), tf.cast(x, tf.bool))", x=300 * f(5))
case("tf.clip_by_value(x, -0.5, 0.5)", X)
case("tf.clip_by_norm(x, 0.5)", X)
case("tf.clip_by_norm(x, 0.5, axes=[1])", X)
case("tf.clip_by_norm(x, 50.0)", X)
case("tf.clip_by_average_norm(x, 0.1)", X)
case("tf.clip_by_global_norm([x, None, y], 0.7)[0][0::2]", Y)
case("tf.clip_by_global_norm([x, y], 70.0)", Y)
case("tf.global_norm([x, y])", Y)
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

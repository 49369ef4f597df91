"""Dense layers: ``tf.layers.dense``, ``tf.contrib.layers.fully_connected``."""

from __future__ import annotations

from typing import Any

from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.initial_values import Zeros, glorot_uniform
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.networks import bias_add, relu
from holdfast.tf1.graph.recorded_names import method
from holdfast.tf1.graph.scopes import get_variable, variable_scope
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.graph.variables import Variable


def linear_layer(
    inputs: Any, units: int, scope: Any, default_scope: str, names: tuple[str, str], initializers: tuple[Any, Any],
    reuse: Any = None, use_bias: bool = True, trainable: bool = True, regularizer: Any = None,
) -> Tensor:  # fmt: skip
    """Inputs W + b along the last dimension, with variables in a scope of their own."""
    x = convert_to_tensor(inputs)
    depth = None if x.sizes is None else x.sizes[-1]
    if depth is None:
        raise ValueError(f"The last size of {x.name} is unknown; a dense layer needs it. Give it by set_shape.")
    with variable_scope(scope, default_scope, reuse=reuse):
        kernel = get_variable(
            names[0], [depth, units], x.dtype, initializers[0] or glorot_uniform(), regularizer, trainable
        )
        bias = (
            get_variable(names[1], [units], x.dtype, initializers[1] or Zeros(), trainable=trainable)
            if use_bias
            else None
        )
        made = node("MatMul", lambda a, w: a @ w, [x, kernel], x.dtype, (*(x.sizes or ())[:-1], units))
        return made if bias is None else bias_add(made, bias)


@public("contrib.layers.fully_connected")
def fully_connected(
    inputs: Any, num_outputs: int, activation_fn: Any = relu, normalizer_fn: Any = None, normalizer_params: Any = None,
    weights_initializer: Any = None, weights_regularizer: Any = None, biases_initializer: Any = Zeros,
    biases_regularizer: Any = None, reuse: Any = None, variables_collections: Any = None,
    outputs_collections: Any = None, trainable: bool = True, scope: Any = None,
) -> Tensor:  # fmt: skip
    """A dense layer along the last dimension; ReLU by default."""
    bias = biases_initializer is not None and normalizer_fn is None
    outputs = linear_layer(
        inputs, int(num_outputs), scope, "fully_connected", ("weights", "biases"),
        (weights_initializer, biases_initializer), reuse, bias, trainable, weights_regularizer,
    )  # fmt: skip
    if normalizer_fn is not None:
        outputs = normalizer_fn(outputs, **(normalizer_params or {}))
    return outputs if activation_fn is None else activation_fn(outputs)


@public("contrib.layers.linear")
def linear(*args: Any, **options: Any) -> Tensor:
    """:func:`fully_connected` without an activation."""
    return fully_connected(*args, **{"activation_fn": None, **options})


@public("layers.dense")
def dense(
    inputs: Any, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = None,
    bias_initializer: Any = None, kernel_regularizer: Any = None, bias_regularizer: Any = None,
    activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
    trainable: bool = True, name: str | None = None, reuse: Any = None,
) -> Tensor:  # fmt: skip
    """A dense layer along the last dimension."""
    outputs = linear_layer(
        inputs, int(units), name, "dense", ("kernel", "bias"), (kernel_initializer, bias_initializer), reuse, use_bias,
        trainable, kernel_regularizer,
    )  # fmt: skip
    return outputs if activation is None else activation(outputs)


@public("layers.Dense", "python.layers.core.Dense")
class Dense:
    """A dense layer along the last dimension, whose variables are made by its first call and shared by the others.

    Args:
        units: The size of the outputs.
        activation: A function of the outputs.
        use_bias: Whether there is a bias.
        kernel_initializer: Of the kernel; Glorot's by default.
        bias_initializer: Of the bias; zeros by default.
        kernel_regularizer: A function of the kernel, whose value goes to the regularization losses.
        trainable: Whether optimisers change it.
        name: The name of its scope.

    Attributes:
        kernel: The kernel [depth, units]; None before the first call.
        bias: The bias [units], or None.
    """

    def __init__(
        self, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = None,
        bias_initializer: Any = None, kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        trainable: bool = True, name: str | None = None, _scope: Any = None, _reuse: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        self.units, self._activation, self.use_bias = int(units), activation, use_bias
        self._initializers, self._regularizer = (kernel_initializer, bias_initializer), kernel_regularizer
        self._trainable, self.name, self._scope, self._reuse = trainable, name, _scope, _reuse
        self.kernel: Variable | None = None
        self.bias: Variable | None = None

    @property
    def variables(self) -> list[Variable]:
        """The kernel and the bias, once there are any."""
        return [each for each in (self.kernel, self.bias) if each is not None]

    weights = trainable_weights = trainable_variables = variables

    @method
    def build(self, depth: Any, dtype: Any) -> None:
        """Makes the variables."""
        with variable_scope(self._scope or self.name, "dense", reuse=self._reuse):
            self.kernel = get_variable(
                "kernel", [int(depth), self.units], dtype, self._initializers[0] or glorot_uniform(), self._regularizer,
                self._trainable,
            )  # fmt: skip
            if self.use_bias:
                first = self._initializers[1] or Zeros()
                self.bias = get_variable("bias", [self.units], dtype, first, trainable=self._trainable)

    @method
    def __call__(self, inputs: Any, *args: Any, **options: Any) -> Tensor:
        """The outputs [..., units] of inputs [..., depth]."""
        x = convert_to_tensor(inputs)
        depth = None if x.sizes is None else x.sizes[-1]
        if depth is None:
            raise ValueError(f"The last size of {x.name} is unknown; a dense layer needs it. Give it by set_shape.")
        if self.kernel is None:
            self.build(depth, x.dtype)
        sizes = (*(x.sizes or ())[:-1], self.units)
        made = node("MatMul", lambda a, w: a @ w, [x, *self.variables[:1]], x.dtype, sizes)
        if self.bias is not None:
            made = bias_add(made, self.bias)
        return made if self._activation is None else self._activation(made)

    apply = call = __call__

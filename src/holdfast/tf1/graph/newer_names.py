"""Names of TensorFlow 1.12 and later for what has an older one: ``tf.random.normal``, ``tf.initializers.constant``."""

from __future__ import annotations

from holdfast.tf1.graph import initial_values, networks, normalizing, ordering, randoms  # noqa: F401  (the older names)
from holdfast.tf1.graph.names import find, publish

for _newer, _older in {
    "random.normal": "random_normal",
    "random.uniform": "random_uniform",
    "random.truncated_normal": "truncated_normal",
    "random.shuffle": "random_shuffle",
    "random.multinomial": "multinomial",
    "random.categorical": "multinomial",
    "random.set_random_seed": "set_random_seed",
    "initializers.constant": "constant_initializer",
    "initializers.random_normal": "random_normal_initializer",
    "initializers.random_uniform": "random_uniform_initializer",
    "initializers.truncated_normal": "truncated_normal_initializer",
    "initializers.orthogonal": "orthogonal_initializer",
    "initializers.variance_scaling": "variance_scaling_initializer",
    "initializers.glorot_uniform": "glorot_uniform_initializer",
    "initializers.glorot_normal": "glorot_normal_initializer",
    "math.sigmoid": "sigmoid",
    "math.softplus": "nn.softplus",
    "math.l2_normalize": "nn.l2_normalize",
    "math.top_k": "nn.top_k",
    "math.in_top_k": "nn.in_top_k",
}.items():
    publish(find(_older), _newer)

"""A model with models within it, and layers that run at every step, as one list of layers.

A layer within the model ``encoder`` is called ``encoder/NAME``. A TimeDistributed becomes a layer that makes every step
a row of its own, the layer within, and one that puts the steps together again; the classes of these two are none that a
file can name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.errors import ConversionError
from holdfast.interop.keras.model import Layer, Model, Reference, rewired

FOLD, UNFOLD, MASKED = "(every step a row)", "(rows as steps)", "(masked)"
"""Classes of the layers that are made here."""
OF_THE_LAST_DIMENSION = (
    *("Dense", "Dropout", "Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Softmax", "GaussianNoise"),
    *("GaussianDropout", "ActivityRegularization", "Identity"),
)
"""Layers that do the same to every step, so that TimeDistributed changes nothing."""
_MOST = 4096  # layers, once those of the models within are counted at each of their calls


def expanded(model: Model) -> Model:
    """The same model without models within it.

    Raises:
        ConversionError: It would have too many layers, or calls a model with more or fewer inputs than it has.
    """
    expander = _Expander()
    outputs = expander.into(model, None, "", "", "")
    return replace(model, layers=tuple(expander.layers), outputs=tuple(outputs))


class _Expander:
    """Goes through models, and keeps the layers of all of them.

    Attributes:
        layers: Those so far.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._count = 0
        self._wrapped: Counter[str] = Counter()

    def into(
        self, model: Model, inputs: Sequence[Reference] | None, prefix: str, first: str, key: str
    ) -> list[Reference]:
        """Adds the layers of a model, and says what it gives.

        Args:
            model: The model.
            inputs: What it is called with; None for the outermost.
            prefix: What the names of its layers begin with.
            first: The same of its first call, which has the weights.
            key: What the places of their weights begin with.
        """
        known: dict[Reference, Reference] = {}

        def placed(one: Reference) -> Reference:
            return known.get(one, Reference(prefix + one.layer, one.output))

        for layer in model.layers:
            self._count += 1
            if self._count > _MOST:
                raise ConversionError(
                    f"The model has more than {_MOST:,} layers, each counted as often as it is called; no more are "
                    "read."
                )
            if layer.name in model.inputs and inputs is not None:
                known[Reference(layer.name)] = inputs[model.inputs.index(layer.name)]
                continue
            own = f"{first}{layer.shares or layer.name}"
            moved = rewired(layer, placed)
            moved = replace(
                moved, name=prefix + layer.name, shares="" if own == prefix + layer.name else own, key=key + layer.key
            )
            known |= self._add(layer.name, moved)
        return [placed(one) for one in model.outputs]

    def _add(self, name: str, layer: Layer) -> Mapping[Reference, Reference]:
        """Adds a layer, and what is in it; says where its outputs are, if not under its own name."""
        if layer.model is not None:
            outputs = self._call(layer, layer.model, layer.key)
        elif layer.wrapped is not None and layer.wrapped.kind not in OF_THE_LAST_DIMENSION:
            outputs = [self._every_step(layer, layer.wrapped)]
        else:
            self.layers.append(layer)
            return {}
        return {Reference(name, number): one for number, one in enumerate(outputs)}

    def _call(self, layer: Layer, model: Model, key: str) -> list[Reference]:
        """Adds the layers of a model within the model, where it is called."""
        inputs = list(layer.inputs)
        if len(inputs) != len(model.inputs):
            raise ConversionError(f"{layer.label} is called with {len(inputs)} inputs; expected {len(model.inputs)}.")
        for number, mask in enumerate(layer.masks[: len(inputs)]):
            if mask is not None:
                name = f"{layer.name}/masked {number}" if number else f"{layer.name}/masked"
                self.layers.append(Layer(name, MASKED, {}, (inputs[number],), masks=(mask,)))
                inputs[number] = Reference(name)
        return self.into(model, inputs, f"{layer.name}/", f"{layer.shares or layer.name}/", f"{key}/layers/")

    def _every_step(self, layer: Layer, inner: Layer) -> Reference:
        """Adds a TimeDistributed."""
        if len(layer.inputs) != 1:
            raise ConversionError(f"{layer.label} is called with {len(layer.inputs)} inputs; expected one.")
        self._wrapped[layer.name] += 1  # one within another has the same name
        number = "" if self._wrapped[layer.name] == 1 else f" {self._wrapped[layer.name]}"
        rows, steps = f"{layer.name}/rows{number}", f"{layer.name}/steps{number}"
        self.layers.append(Layer(rows, FOLD, {}, layer.inputs))
        made = replace(inner, name=layer.name, inputs=(Reference(rows),), key=f"{layer.key}/layer", shares=layer.shares)
        outputs = dict(self._add(layer.name, made)).get(Reference(layer.name), Reference(layer.name))
        self.layers.append(Layer(steps, UNFOLD, {}, (outputs, *layer.inputs)))
        return Reference(steps)

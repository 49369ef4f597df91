"""Turns a model with nested models and TimeDistributed layers into one list of layers.

A layer in the nested model ``encoder`` gets the name ``encoder/NAME``. A TimeDistributed becomes three layers: one that
makes each step a row, the inner layer, and one that restores the steps. No file can name the classes of the first and
the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.errors import ConversionError
from holdfast.interop.keras.model import Layer, Model, Reference, map_references

FOLD, UNFOLD, MASKED = "(every step a row)", "(rows as steps)", "(masked)"
"""The classes of the layers that are added here."""
OF_THE_LAST_DIMENSION = (
    *("Dense", "Dropout", "Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Softmax", "GaussianNoise"),
    *("GaussianDropout", "ActivityRegularization", "Identity"),
)
"""Layers that treat every step alike, so that TimeDistributed changes nothing."""
_MAX_LAYERS = 4096  # the layers of a nested model count at each of its calls


def inline_models(model: Model) -> Model:
    """The same model without nested models.

    Raises:
        ConversionError: It has too many layers, or calls a nested model with the wrong number of inputs.
    """
    inliner = _Inliner()
    outputs = inliner.add_model(model, None, "", "", "")
    return replace(model, layers=tuple(inliner.layers), outputs=tuple(outputs))


class _Inliner:
    """Collects the layers of nested models.

    Attributes:
        layers: The layers so far.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._count = 0
        self._wrapped: Counter[str] = Counter()

    def add_model(
        self, model: Model, inputs: Sequence[Reference] | None, prefix: str, first: str, key: str
    ) -> list[Reference]:
        """Adds the layers of a model, and returns its outputs.

        Args:
            model: The model.
            inputs: The inputs of its call; None for the outermost model.
            prefix: The prefix of its layers' names.
            first: That prefix in its first call, which has the weights.
            key: The prefix of the places of their weights.
        """
        moved: dict[Reference, Reference] = {}

        def new_reference(old: Reference) -> Reference:
            return moved.get(old, Reference(prefix + old.layer, old.output))

        for layer in model.layers:
            self._count += 1
            if self._count > _MAX_LAYERS:
                raise ConversionError(
                    f"The model has more than {_MAX_LAYERS:,} layers, counted once per call; no more are read."
                )
            if layer.name in model.inputs and inputs is not None:
                moved[Reference(layer.name)] = inputs[model.inputs.index(layer.name)]
                continue
            name, owner = prefix + layer.name, f"{first}{layer.shares or layer.name}"
            renamed = replace(layer, name=name, shares="" if owner == name else owner, key=key + layer.key)
            moved |= self._add(layer.name, map_references(renamed, new_reference))
        return [new_reference(output) for output in model.outputs]

    def _add(self, name: str, layer: Layer) -> Mapping[Reference, Reference]:
        """Adds a layer and the layers in it; returns the places of its outputs if they are not under its own name."""
        if layer.model is not None:
            outputs = self._call(layer, layer.model, layer.key)
        elif layer.wrapped is not None and layer.wrapped.kind not in OF_THE_LAST_DIMENSION:
            outputs = [self._every_step(layer, layer.wrapped)]
        else:
            self.layers.append(layer)
            return {}
        return {Reference(name, number): output for number, output in enumerate(outputs)}

    def _call(self, layer: Layer, model: Model, key: str) -> list[Reference]:
        """Adds the layers of a nested model for one call."""
        inputs = list(layer.inputs)
        if len(inputs) != len(model.inputs):
            raise ConversionError(f"{layer.label} is called with {len(inputs)} inputs; expected {len(model.inputs)}.")
        for number, mask in enumerate(layer.masks[: len(inputs)]):
            if mask is not None:
                name = f"{layer.name}/masked {number}" if number else f"{layer.name}/masked"
                self.layers.append(Layer(name, MASKED, {}, (inputs[number],), masks=(mask,)))
                inputs[number] = Reference(name)
        return self.add_model(model, inputs, f"{layer.name}/", f"{layer.shares or layer.name}/", f"{key}/layers/")

    def _every_step(self, layer: Layer, inner: Layer) -> Reference:
        """Adds a TimeDistributed."""
        if len(layer.inputs) != 1:
            raise ConversionError(f"{layer.label} is called with {len(layer.inputs)} inputs; expected one.")
        self._wrapped[layer.name] += 1  # a TimeDistributed in another one has the same name
        number = "" if self._wrapped[layer.name] == 1 else f" {self._wrapped[layer.name]}"
        rows, steps = f"{layer.name}/rows{number}", f"{layer.name}/steps{number}"
        self.layers.append(Layer(rows, FOLD, {}, layer.inputs))
        placed = replace(
            inner, name=layer.name, inputs=(Reference(rows),), key=f"{layer.key}/layer", shares=layer.shares
        )
        outputs = dict(self._add(layer.name, placed)).get(Reference(layer.name), Reference(layer.name))
        self.layers.append(Layer(steps, UNFOLD, {}, (outputs, *layer.inputs)))
        return Reference(steps)

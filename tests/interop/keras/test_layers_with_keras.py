"""What stands around recurrent layers in files that Keras wrote, against what Keras itself predicts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.interop.keras import layer_models_of_graphs, layer_models_of_steps  # noqa: F401 (each adds to CASES)
from tests.interop.keras.layer_models import CASES
from tests.interop.keras.models import difference, keras, randomised, save

from holdfast.interop.keras import files as keras_files

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's own, of many kinds


@pytest.mark.parametrize("name", CASES)
def test_the_same_outputs_as_keras(name: str, tmp_path: Path) -> None:
    model = randomised(CASES[name]())
    assert difference(model, save(model, tmp_path, ".keras")) < 1e-5


@pytest.mark.parametrize("ending", [".h5", ".weights.h5"])
@pytest.mark.parametrize(
    "name",
    ["batch_normalisations", "heads", "every_step", "models_within", "merged_under_masks", "used_twice", "operations"],
)
def test_other_files_of_the_same_models(name: str, ending: str, tmp_path: Path) -> None:
    model = randomised(CASES[name]())
    assert difference(model, save(model, tmp_path, ending)) < 1e-5


@pytest.mark.parametrize(
    "name",
    [
        *("convolutions", "convolutions_of_each_channel", "steps_more_and_fewer", "batch_normalisations"),
        *("layer_normalisations", "masks_beyond_what_keeps_them", "masks_beyond_what_drops_them"),
        "models_within_a_chain",
    ],
)
def test_keras_opens_what_is_written(name: str, tmp_path: Path) -> None:
    model = randomised(CASES[name]())
    network = keras_files.read(save(model, tmp_path, ".keras"))
    keras_files.write(tmp_path / "written.keras", network)
    assert difference(keras.saving.load_model(tmp_path / "written.keras"), tmp_path / "model.keras") < 1e-5

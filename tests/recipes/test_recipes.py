import pytest

from holdfast import recipes
from holdfast.errors import RecipeError
from holdfast.settings import Recipe, TrainSettings
from holdfast.tasks.classify.settings import ClassifyData, ClassifyModel
from holdfast.tasks.network_settings import LinearSettings


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_valid_named_after_its_file_and_described(name):
    recipe = recipes.load(name)
    assert recipe.name == name
    assert recipe.description.endswith(".") or recipe.description.endswith("right.")


@pytest.mark.parametrize("table", [Recipe, ClassifyData, ClassifyModel, LinearSettings, TrainSettings])
def test_every_field_is_documented(table):
    undocumented = [name for name, field in table.model_fields.items() if not field.description]
    assert undocumented == []


def test_overrides_are_toml_values_or_bare_words():
    recipe = recipes.load(
        "digits", ["train.epochs=3", "train.optimizer=SGD", "model.options.layer_norm=true", "model.hidden_size=[4, 5]"]
    )
    assert (recipe.train.epochs, recipe.train.optimizer) == (3, "SGD")
    assert recipe.model.options == {"layer_norm": True}
    assert recipe.model.hidden_size == [4, 5]


def test_a_recipe_resolved_and_written_reads_back_the_same(tmp_path):
    import tomli_w

    recipe = recipes.load("mnist-carried", ["train.seed=7"])
    path = tmp_path / "again.toml"
    path.write_text(tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)))
    assert recipes.load(str(path)) == recipe


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.epocs=3"], r"There is no key 'train\.epocs': did you mean 'epochs'\? Known: average_from, "),
        (["trian.epochs=3"], r"There is no key 'trian': did you mean 'train'\? Known: data, "),
        (["train.epochs=0"], r'train\.epochs is 0: input should be greater than or equal to 1, or "auto"\.'),
        (["model.cell=lstn"], r"model\.cell is 'lstn': there is no cell 'lstn': did you mean 'lstm'\?"),
        (["train.epochs"], r"The override 'train\.epochs' is not of the form key=value"),
        (["name.first=x"], r"The key 'name\.first' is below 'name', which is a value and not a table\."),
        (["model.input_layer.sise=3"], r"There is no key 'model\.input_layer\.sise': did you mean 'size'\?"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(overrides, message):
    with pytest.raises(RecipeError, match=message):
        recipes.load("digits", overrides)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(RecipeError, match=r"There is no recipe 'digit': did you mean 'digits'\?"):
        recipes.load("digit")


def test_a_missing_file_and_broken_toml_name_the_file(tmp_path):
    with pytest.raises(RecipeError, match=r"There is no recipe file .*absent\.toml\. Check the path"):
        recipes.load(str(tmp_path / "absent.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("name = \n")
    with pytest.raises(RecipeError, match=r"The recipe .*broken\.toml is not TOML: .*line 1"):
        recipes.load(str(broken))
    nameless = tmp_path / "nameless.toml"
    nameless.write_text("[train]\nepochs = 1\n")
    with pytest.raises(RecipeError, match=r"The key 'name' is missing\."):
        recipes.load(str(nameless))


@pytest.mark.parametrize("name", recipes.names())
def test_a_small_trial_differs_and_is_applied_once(name, tmp_path):
    import tomli_w

    whole, small = recipes.load(name), recipes.load(name, ["train.limit=small"])
    assert whole.small
    assert small.small == {}
    assert whole.model_dump(exclude={"small"}) != small.model_dump(exclude={"small"})
    path = tmp_path / "resolved.toml"
    path.write_text(tomli_w.dumps(small.model_dump(mode="json", exclude_none=True)))
    assert recipes.load(str(path)) == small


def test_what_is_asked_for_is_stronger_than_the_small_trial():
    assert recipes.load("digits", ["train.limit=small"]).train.epochs == 2
    assert recipes.load("digits", ["train.limit=small", "train.epochs=5"]).train.epochs == 5


def test_an_unknown_task_suggests_the_nearest(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('name = "x"\ntask = "clasify"\n')
    with pytest.raises(RecipeError, match="task is 'clasify': did you mean 'classify'\\?"):
        recipes.load(str(path))


def test_one_table_can_be_changed():
    settings = recipes.load("digits").train
    assert recipes.changed(settings, ["epochs=3", "optimizer=SGD"]).epochs == 3
    with pytest.raises(RecipeError, match="There is no key 'epoch': did you mean 'epochs'"):
        recipes.changed(settings, ["epoch=3"])

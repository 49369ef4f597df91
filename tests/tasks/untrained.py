"""A small model of every task, of its initial values, without training: what a file of each looks like."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from holdfast import recipes
from holdfast.tasks import TASKS, model_file

CLASSIFY = 'name = "x"\ntask = "classify"\n[data]\ntrain = ["train.csv"]\nvalidation = 0.0\n'
SMALL: dict[str, str] = {
    "numbers": CLASSIFY + 'scaling = "standard"\n[model]\nhidden_size = [5, 4]\n[model.input_layer]\nsize = 3\n',
    "texts": CLASSIFY + 'unit = "words"\n[model]\nhidden_size = 4\nembedding_size = 3\n',
    "weighted": CLASSIFY
    + 'unit = "characters"\nlabel_separator = "|"\n[model]\nhidden_size = 4\nclass_weights = "balanced"\n',
    "regress": 'name = "x"\ntask = "regress"\n[data]\ntrain = ["steps.csv"]\nid_column = "id"\nvalidation = 0.0\n'
    'scaling = "standard"\n[model]\nhidden_size = 4\nloss = "quantile"\n[model.input_layer]\nsize = 3\n',
    "stars": 'name = "x"\ntask = "regress"\n[data]\ntrain = ["stars.csv"]\nunit = "words"\nvalidation = 0.0\n'
    'target_columns = ["stars", "likes"]\n[model]\nhidden_size = 4\nembedding_size = 3\n',
    "forecast": 'name = "x"\ntask = "forecast"\n[data]\ntrain = ["series.csv"]\nvalidation = 0.0\nwindow = 4\n'
    'horizon = 2\ncalendar = ["month"]\ntime_column = "time"\n[model]\nhidden_size = 4\nloss = "quantile"\n',
    "panel": 'name = "x"\ntask = "forecast"\n[data]\ntrain = ["panel.csv"]\nvalidation = 0.0\nwindow = 4\nhorizon = 2\n'
    'static_columns = ["kind", "area"]\nmissing = "mask"\n[model]\nhidden_size = 4\n',
    "tag": 'name = "x"\ntask = "tag"\n[data]\ntrain = ["tagged.tsv"]\nvalidation = 0.0\n[model]\nhidden_size = 4\n',
    "sums": 'name = "x"\ntask = "tag"\n[data]\nsource = "addition"\nsums = 30\n[model]\nhidden_size = 4\n',
    "generate": 'name = "x"\ntask = "generate"\n[data]\ntrain = ["text.txt"]\nwindow = 4\n[model]\nhidden_size = 4\n'
    "num_layers = 2\ntied = true\n",
    "translate": 'name = "x"\ntask = "translate"\n[data]\ntrain = ["pairs.tsv"]\nvalidation = 0.0\nunit = "words"\n'
    '[model]\nhidden_size = 4\nembedding_size = 3\nattention = "additive"\n',
}
"""Recipes, by a name of their own."""
FILES: dict[str, str] = {
    "train.csv": "text,label\n" + "1,yes\n2,no\n3,yes\n4,no\n5,no\n6,yes\n" * 3,
    "series.csv": "time,value\n" + "".join(f"{1990 + k // 12}-{k % 12 + 1:02d}-01,{k % 7}\n" for k in range(60)),
    "steps.csv": "id,x,label\n" + "".join(f"{k // 4},{k % 5},{k % 3}\n" for k in range(40)),
    "panel.csv": "unique_id,ds,y,kind,area\n"
    + "".join(f"{'ab'[k % 2]},{k // 2},{k % 7 if k % 11 else ''},{'xy'[k % 2]},{k % 2}\n" for k in range(60)),
    "stars.csv": "text,stars,likes\n" + "good film,5,9\nbad film,1,0\nfilm,3,2\n" * 5,
    "tagged.tsv": "the\tD\nboat\tN\n\nrow\tV\nit\tP\n\n" * 8,
    "text.txt": "row, row, row your boat, gently down the stream. " * 30,
    "pairs.tsv": "one two\tun deux\nthree\ttrois\nfour one\tquatre un\ntwo\tdeux\n" * 5,
}


def write(name: str, folder: Path, recipe_text: str = "") -> Path:
    """The model file of a recipe of ``SMALL``, or of another recipe."""
    for file, text in FILES.items():
        (folder / file).write_text(text, "utf-8")
    (folder / "small.toml").write_text(recipe_text or SMALL[name], "utf-8")
    recipe = recipes.load(str(folder / "small.toml"))
    kind = TASKS[recipe.task]
    task = kind.fit(recipe, kind.load(recipe, folder).train)
    torch.manual_seed(0)
    path = folder / f"{name}.safetensors"
    model_file.save(path, task, task.build())
    return path


def changed(document: Any, change: Callable[[Any, Any], Any], place: tuple[Any, ...]) -> Any:
    """A copy of a document, with what is at a place of it changed by ``change(old value)``."""
    copy = json.loads(json.dumps(document))
    *parents, last = place
    inner = copy
    for part in parents:
        inner = inner[part]
    inner[last] = change(inner[last], place)
    return copy


def places(document: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document: of its tables and lists, and of the values in them."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    found: list[tuple[Any, ...]] = []
    for key, value in items:
        found += [(*before, key), *places(value, (*before, key))]
    return found

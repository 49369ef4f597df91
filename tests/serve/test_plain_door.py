"""The plain door answers as the command line does, to the bit, for every task and every way to send examples."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.running import Running, form, serving
from tests.tasks import untrained
from tests.tones import save, tone

from command_line import call
from holdfast.serve.limits import Limits

LINES = {"Accept": "application/x-ndjson"}
FILES = {
    "numbers": "train.csv",
    "texts": "train.csv",
    "weighted": "train.csv",
    "regress": "steps.csv",
    "stars": "stars.csv",
    "forecast": "series.csv",
    "panel": "panel.csv",
    "tag": "tagged.tsv",
    "sums": "sums.txt",
    "generate": "prompt.txt",
    "translate": "sources.txt",
}
FURTHER = {"sums.txt": "3 4\n100 + 1\n", "prompt.txt": "row, row", "sources.txt": "one two\nfour\n"}
SPOKEN = """
name = "x"
task = "transcribe"
[data]
train = ["sounds.csv"]
validation = 0.0
[data.audio]
rate = 8000
mel_bins = 8
[model]
hidden_size = 4
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in FILES:
        untrained.write(name, folder)
    for file, text in FURTHER.items():
        (folder / file).write_text(text)
    for number in range(2):
        save(folder / f"{number}.wav", tone(200 + 300 * number, 0.5))
    (folder / "sounds.csv").write_text("path,text\n0.wav,ab\n1.wav,ba\n")
    untrained.write("spoken", folder, SPOKEN)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with serving(*(folder / f"{name}.safetensors" for name in [*FILES, "spoken"])) as running:
        yield running


@pytest.mark.parametrize("name", FILES)
def test_files_get_the_answers_of_the_command_line(
    name: str, folder: Path, server: Running, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code, out, _ = call(capsys, "predict", f"{name}.safetensors", FILES[name])
    assert code == 0
    content = (folder / FILES[name]).read_bytes()
    by_form = server.post(f"/predict/{name}", *with_lines(form([(FILES[name], content)])))
    assert by_form.content.decode() == out
    encoded = {"files": [{"name": f"a/../b\\{FILES[name]}", "content": base64.b64encode(content).decode()}]}
    assert server.post(f"/predict/{name}", encoded, LINES).content.decode() == out
    document = server.post(f"/predict/{name}", encoded).json
    assert document == {"model": name, "version": "1", "answers": [json.loads(line) for line in out.splitlines()]}


def with_lines(request: tuple[bytes, dict[str, str]]) -> tuple[bytes, dict[str, str]]:
    return request[0], {**request[1], **LINES}


def test_recordings(folder: Path, server: Running, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    _, out, _ = call(capsys, "predict", "spoken.safetensors", "0.wav", "1.wav")
    sounds = [(f"{k}.wav", (folder / f"{k}.wav").read_bytes()) for k in range(2)]
    for path in ("/predict/spoken", "/transcribe/spoken"):
        assert server.post(path, *with_lines(form(sounds))).content.decode() == out
    _, out, _ = call(capsys, "predict", "spoken.safetensors", "0.wav")
    alone = server.post("/transcribe/spoken", sounds[0][1], {"Content-Type": "audio/wav", **LINES})
    assert alone.content.decode().replace("body.wav", "0.wav") == out


def test_lines_of_text(server: Running, capsys: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["1 yes", "", "4", "1\u20284\x0b\x854", "4\r1"]
    (folder / "texts.txt").write_bytes(b"\xef\xbb\xbf" + "\n".join(texts).encode() + b"\r\n")
    with (folder / "texts.txt").open(newline="") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        _, out, _ = call(capsys, "predict", folder / "texts.safetensors", "-")
    body = (folder / "texts.txt").read_bytes()
    for sent in (body, body.removesuffix(b"\r\n")):
        answer = server.post("/predict/texts", sent, {"Content-Type": "text/plain", **LINES})
        assert answer.content.decode() == out
    assert server.post("/predict/texts", {"texts": texts}, LINES).content.decode() == out


def test_examples_get_the_answers_of_the_predictor(server: Running, folder: Path) -> None:
    for name, values in {
        "numbers": [[1.0], [2.5, 3.5]],
        "texts": ["1", "4 1"],
        "tag": [["the", "boat"]],
        "sums": [[3, 4]],
        "translate": ["one two"],
    }.items():
        predictor = server.service.models.get(name).predictor()
        expected = list(predictor.predict_values(values))
        assert server.post(f"/predict/{name}", {"examples": values}).json["answers"] == expected


def test_series_by_their_columns(server: Running) -> None:
    lines = [line.split(",") for line in untrained.FILES["series.csv"].splitlines()[1:]]
    columns = {"time": [time for time, _ in lines], "value": [float(value) for _, value in lines]}
    expected = list(server.service.models.get("forecast").predictor().predict_values(columns))
    for path in ("/predict/forecast", "/forecast/forecast"):
        assert server.post(path, {"examples": columns}).json["answers"] == expected
    assert server.post("/forecast/numbers", {"examples": [[1.0]]}).error == (
        "The model 'numbers' is for the task 'classify'; expected 'forecast'."
    )


def test_a_text_comes_token_by_token(server: Running, folder: Path, capsys: Any) -> None:
    options = {"length": 40, "seed": 3, "temperature": 0.8}
    settings = [part for key, value in options.items() for part in ("--set", f"{key}={value}")]
    _, out, _ = call(capsys, "predict", folder / "generate.safetensors", "--set", "prompt=row,", *settings)
    (expected,) = [json.loads(line) for line in out.splitlines()]
    body = {"prompt": "row,", "options": options}
    tokens = "holdfast_generated_tokens_total", {"model": "generate"}
    before = server.service.metrics.registry.get_sample_value(*tokens) or 0
    answer = server.post("/generate/generate", body).json
    assert (answer["prompt"], answer["text"]) == (expected["prompt"], expected["text"])
    stream = server.post("/generate/generate", {**body, "stream": True})
    assert stream.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\n") for event in stream.content.decode().strip().split("\n\n")]
    names = [name.removeprefix("event: ") for name, _ in events]
    data = [json.loads(line.removeprefix("data: ")) for _, line in events]
    assert (names[0], names[-1], set(names[1:-1])) == ("prompt", "done", {"piece"})
    assert data[0] == {"prompt": "row,"}
    assert len(data) == 42
    assert "row," + "".join(part["piece"] for part in data[1:-1]) == data[-1]["text"] == expected["text"]
    assert server.service.metrics.registry.get_sample_value(*tokens) == before + 80
    plain = server.post("/predict/generate", {"options": {**options, "prompt": "row,"}}).json["answers"]
    assert plain == [expected]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/predict/none", {}, 404, "There is no model 'none'; there is "),
        ("/predict/numbers?version=2", {}, 404, "The model 'numbers' has no version '2'; it has 1."),
        ("/predict/numbers", b"{", 400, "The body is not JSON: "),
        ("/predict/numbers", b"[NaN]", 400, "The body is not JSON: "),
        ("/predict/numbers", [1], 400, "The body is a JSON list; expected an object."),
        (
            "/predict/numbers",
            {"example": [1]},
            400,
            "The body has 'example'; expected examples, files, options, texts.",
        ),
        ("/predict/numbers", {"examples": [1], "texts": []}, 400, "The body has examples and texts; expected one of "),
        ("/predict/numbers", {"examples": 3}, 400, "examples is no list and no object; expected "),
        ("/predict/numbers", {"examples": [["a"]]}, 422, "values[0] holds values of type <U1; expected a sequence"),
        (
            "/predict/numbers",
            {"examples": [[None]]},
            422,
            "values[0] holds nan at step 0, channel 0 (from 0); expected",
        ),
        ("/predict/numbers", {"texts": ["1"]}, 422, "A model for the task 'classify' reads files, not lines of text."),
        ("/predict/numbers", {}, 422, "No files were given to read; expected at least one file or folder."),
        ("/predict/numbers", {"files": [{"name": "..", "content": ""}]}, 400, "A file has the name '..'; expected one"),
        ("/predict/numbers", {"files": [{"name": "a", "content": "?"}]}, 400, "The content of a file is not base64: "),
        ("/predict/spoken", {"texts": ["/etc/passwd"]}, 422, "The model 'spoken' reads recordings, not texts: send "),
        (
            "/predict/translate",
            {"texts": ["a"], "options": {"beam": 99}},
            413,
            "beam is 99; at most 16 is taken (beam).",
        ),
        ("/predict/translate", {"texts": ["a"], "options": {"beem": 2}}, 422, "There is no key "),
        ("/generate/generate", {"options": {"length": 10**6}}, 413, "length is 1,000,000; at most 4,096 is taken ("),
        ("/generate/generate", {"prompt": 3}, 400, "prompt is no text."),
        ("/generate/numbers", {}, 422, "The model 'numbers' is for the task 'classify'; expected 'generate'."),
    ],
)
def test_what_does_not_fit_is_refused(server: Running, path: str, body: Any, status: int, error: str) -> None:
    answer = server.post(path, body)
    assert (answer.status, answer.error[: len(error)]) == (status, error)


def test_no_answer_has_a_path_of_the_server(server: Running, folder: Path) -> None:
    table = form([("t.csv", b"path,text\n/etc/passwd,a\n")])
    answer = server.post("/predict/spoken", *table)
    assert answer.status == 422
    assert answer.error.startswith("t.csv is not a recording; expected one of .wav, ")
    for name, content in [
        ("x.csv", b"\xff\xfe,\n\x00"),
        ("x.png", b"\x89PNG\r\n\x1a\n"),
        ("x.npy", b"\x93NUMPY"),
        ("x", b""),
    ]:
        answer = server.post("/predict/numbers", *form([(name, content)]))
        assert answer.status == 422
        assert "/" not in answer.error.replace("ROOT/label/image", "").replace("ROOT/label/recording", "")
        assert name in answer.error
    zipped = server.post("/predict/numbers", *form([("x.npz", b"PK\x03\x04")]))
    assert zipped.error == "x.npz is a zip archive, which may unpack to much; send the file unpacked."


def test_a_damaged_form(server: Running) -> None:
    body, headers = form([("a.csv", b"a,b\n" * 1000)])
    cut = server.post("/predict/numbers", body[:-10], headers)
    assert (cut.status, cut.error) == (400, "The form is cut short: its last boundary is missing.")
    other = server.post("/predict/numbers", body, {"Content-Type": "multipart/form-data; boundary=other"})
    assert (other.status, other.error[:24]) == (400, "The form cannot be read:")
    without = server.post("/predict/numbers", body, {"Content-Type": "multipart/form-data"})
    assert (without.status, without.error) == (400, "The form cannot be read: Missing boundary in multipart.")
    field = server.post("/predict/numbers", *form([], colour="red"))
    assert field.error == "The form has the field 'colour'; expected files, texts, options."


def test_two_files_of_one_name(server: Running, folder: Path) -> None:
    content = (folder / "train.csv").read_bytes()
    answers = server.post("/predict/numbers", *form([("a.csv", content), ("a.csv", content)])).json["answers"]
    assert len(answers) == 36
    assert answers[0] == answers[18] | {"origin": answers[0]["origin"]}


def test_limits_of_the_examples(folder: Path) -> None:
    limits = Limits(examples=3, files=1, batch_steps=20, tensor_values=100, generated_tokens=50, sound_values=1000)
    models = (folder / f"{name}.safetensors" for name in ("numbers", "generate", "spoken"))
    with serving(*models, limits=limits) as server:
        long = server.post("/predict/numbers", {"examples": [[1.0] * 8, [1.0], [1.0]]})
        assert (long.status, long.error) == (
            422,
            "3 examples of up to 8 steps have 24 steps with their padding; expected at most 20. Send fewer or shorter "
            "examples at once.",
        )
        many = server.post("/predict/numbers", {"examples": [[1.0]] * 4})
        lines = server.post("/predict/numbers", b"1\n2\n3\n4", {"Content-Type": "text/plain"})
        for answer in (many, lines):
            assert (answer.status, answer.error) == (413, "There are 4 examples; at most 3 are taken (examples).")
        files = server.post("/predict/numbers", *form([("a.csv", b""), ("b.csv", b"")]))
        assert (files.status, files.error[:24]) == (413, "The form cannot be read:")
        image = server.post("/predict/numbers", *form([("a.png", png(11, 10))]))
        assert (image.status, image.error) == (413, "a.png has 110 pixels; at most 100 are taken (tensor_values).")
        sound = server.post("/predict/spoken", *form([("0.wav", (folder / "0.wav").read_bytes())]))
        assert (sound.status, sound.error) == (413, "0.wav has 4,000 samples; at most 1,000 are taken (sound_values).")
        texts = server.post("/predict/generate", {"texts": ["a", "b"], "options": {"length": 26}})
        assert (texts.status, texts.error[:48]) == (413, "2 texts of up to 26 tokens are 52 tokens; at mos")


def png(width: int, height: int) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()

"""The examples of a request, as a person writes them: JSON, a form with files, a file, or lines of text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from holdfast.serve import bodies
from holdfast.serve.limits import Limits
from holdfast.serve.refusals import Refusal

KINDS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/tiff": ".tif",
    "image/webp": ".webp",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/x-ndjson": ".jsonl",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/vnd.wave": ".wav",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
}
"""The ending of a file that is sent as the body itself, by its content type."""
_FORM, _JSON, _LINES = "multipart/form-data", "application/json", "text/plain"
_MOST_NAME = 100


@dataclass(frozen=True)
class Upload:
    """What a client sent; of the first three, at most one is there.

    Attributes:
        values: Examples in memory, as :meth:`holdfast.predictor.Predictor.predict_values` takes them; None without.
        lines: Lines of text; None without.
        files: Names and contents of files.
        options: Values of the table ``[predict]``.
    """

    values: Any = None
    lines: list[str] | None = None
    files: list[tuple[str, bytes]] = field(default_factory=list)
    options: Mapping[str, Any] = field(default_factory=dict)


async def receive(request: Request, limits: Limits) -> Upload | bytes:
    """The upload of a request; for JSON the body, for :func:`of_json`, which takes a thread's time.

    Raises:
        Refusal: 400 where it is malformed, 413 where it is too large, 415 where its content type is unknown.
    """
    content_type = request.headers.get("Content-Type", _JSON)
    kind = content_type.partition(";")[0].strip().lower()
    body = await bodies.read(request)
    if kind in (_JSON, "application/x-www-form-urlencoded") or (not body and kind not in KINDS):
        return body  # curl -d says urlencoded unless it is told otherwise
    if kind == _FORM:
        return await _form(request, body, limits)
    if kind == _LINES:
        return Upload(lines=_lines(body, limits))
    if kind in KINDS:
        return Upload(files=[(f"body{KINDS[kind]}", body)])
    expected = ", ".join([_JSON, _FORM, _LINES, *KINDS])
    raise Refusal(415, f"The body is {kind[:60]!r}; expected one of {expected}.")


def _lines(body: bytes, limits: Limits) -> list[str]:
    """The lines of a body, which end where those of ``holdfast predict RUN -`` do: at line feeds alone."""
    limits.check_examples(body.count(b"\n") + (not body.endswith(b"\n")))  # before each takes memory of its own
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(400, f"The body is not text in UTF-8 ({error.reason} at byte {error.start}).") from error
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]


def of_json(body: bytes, limits: Limits) -> Upload:
    """The upload in a JSON body.

    Raises:
        Refusal: 400 where it is malformed, 413 where it is too large.
    """
    document = bodies.object_in(bodies.parsed(body or b"{}", limits))
    known = ("examples", "files", "options", "texts")
    if unknown := [name for name in document if name not in known]:
        raise Refusal(400, f"The body has {unknown[0][:60]!r}; expected {', '.join(known)}.")
    sources = [name for name in ("examples", "files", "texts") if name in document]
    if len(sources) > 1:
        raise Refusal(400, f"The body has {' and '.join(sources)}; expected one of them.")
    options = document.get("options", {})
    if not isinstance(options, dict):
        raise Refusal(400, "options is no object; expected values of the table [predict] by name.")
    texts = document.get("texts")
    if texts is not None and not (isinstance(texts, list) and all(type(text) is str for text in texts)):
        raise Refusal(400, "texts is no list of texts.")
    files = _files(document.get("files", []), limits)
    values = document.get("examples")
    if "examples" in document and not isinstance(values, list | dict):
        raise Refusal(400, "examples is no list and no object; expected examples, or the columns of a series.")
    return Upload(values, texts, files, options)


def _files(files: Any, limits: Limits) -> list[tuple[str, bytes]]:
    if not isinstance(files, list):
        raise Refusal(400, 'files is no list; expected a list of {"name": ..., "content": BASE64}.')
    _check_count(len(files), limits)
    found = []
    for file in files:
        if not isinstance(file, dict) or not isinstance(file.get("content"), str):
            raise Refusal(400, 'One of the files is not of the form {"name": ..., "content": BASE64}.')
        try:
            content = base64.b64decode(file["content"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refusal(400, f"The content of a file is not base64: {error}.") from error
        found.append((file_name(file.get("name")), content))
    return found


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.files:
        raise Refusal(413, f"There are {count} files; at most {limits.files} are taken (files). Send them in parts.")


def file_name(name: Any) -> str:
    """The last part of the name of a file; it cannot leave its folder.

    Raises:
        Refusal: 400 where there is none.
    """
    last = PurePosixPath(str(name or "").replace("\\", "/")).name
    encoded = last.encode("utf-8", "replace")
    if not isinstance(name, str) or not last.isprintable() or last in ("", ".", "..") or len(encoded) > _MOST_NAME:
        raise Refusal(400, f"A file has the name {str(name)[:60]!r}; expected one of 1 to {_MOST_NAME} bytes.")
    return encoded.decode()


async def _form(request: Request, body: bytes, limits: Limits) -> Upload:
    """The files of a form; its field ``options`` is JSON, each field ``texts`` a text."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _Form(
        request.headers, stream(), max_files=limits.files, max_fields=limits.files, max_part_size=limits.body_bytes
    )
    files, texts, options = [], list[str](), b"{}"
    try:
        form = await parser.parse()
        if not parser.ended:
            raise Refusal(400, "The form is cut short: its last boundary is missing.")
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files.append((file_name(value.filename), await value.read()))
            elif name == "options":
                options = value.encode()
            elif name == "texts":
                texts.append(value)
            else:
                raise Refusal(400, f"The form has the field {name[:60]!r}; expected files, texts, options.")
    except MultiPartException as error:
        too_many = "Too many" in error.message
        raise Refusal(413 if too_many else 400, f"The form cannot be read: {error.message[:200]}") from error
    except (KeyError, ValueError) as error:  # UnicodeError is a ValueError; Refusal is neither
        raise Refusal(400, "The form cannot be read: its boundary or a header is damaged.") from error
    finally:
        parser.close()
    if files and texts:
        raise Refusal(400, "The form has files and texts; expected one of them.")
    parsed = bodies.object_in(bodies.parsed(options, limits))
    return Upload(None, texts or None, files, parsed)


class _Form(MultiPartParser):
    """starlette's parser, which takes a form that is cut short for a whole one, and leaves its last file open."""

    ended = False

    def on_end(self) -> None:
        """The last boundary was there."""
        super().on_end()
        self.ended = True

    def close(self) -> None:
        """Closes all files of the form."""
        for file in self._files_to_close_on_error:
            file.close()

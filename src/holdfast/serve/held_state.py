"""The state of a stream in the hands of its client: signed, and bound to the model.

A client gets the state with an answer and sends it with its next request. So any replica of the server can continue the
stream, to the same bits on the same kind of processor, and none needs to remember it.

A held state is base64url of: one byte with the version of this format, HMAC-SHA256 (RFC 2104) with the key of the
server over everything else, and a file of the kind "stream state" (:mod:`holdfast.files.container`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import time
from typing import Any

from holdfast.errors import ModelFileError, OptionError
from holdfast.files import in_memory
from holdfast.runtime.network import StreamNetwork
from holdfast.runtime.stream_state import KIND, StreamState
from holdfast.serve.refusals import Refusal

VERSION = 1
"""Of the format."""
VARIABLE = "HOLDFAST_STATE_KEY"
"""The environment variable with the key: the same for all replicas, and secret."""
_FEWEST_BYTES = 16
_SIGNATURE = hashlib.sha256().digest_size


def key_from_environment() -> bytes:
    """The key; empty where the variable is not set, and then no client can hold a state.

    Raises:
        OptionError: The key is too short to be secret.
    """
    key = os.environ.get(VARIABLE, "").encode()
    if key and len(key) < _FEWEST_BYTES:
        raise OptionError(
            f"{VARIABLE} has {len(key)} bytes; expected at least {_FEWEST_BYTES} random ones, such as the output of "
            "`openssl rand -hex 32`."
        )
    return key


class HeldStates:
    """Packs the states of one model's streams, and opens those that come back.

    Args:
        network: What the streams compute.
        digest: Identifies the model: a state goes on only with the same one.
        key: The key of :data:`VARIABLE`; empty: no client can hold a state.
        seconds: For how long a state can be used.
    """

    def __init__(self, network: StreamNetwork, digest: str, key: bytes, seconds: float) -> None:
        self._network, self._digest, self._key, self._seconds = network, digest, key, seconds

    def pack(self, state: Any) -> str:
        """The text that a client holds.

        Args:
            state: Of one row, as :meth:`holdfast.runtime.Stream.state_of` returns it.

        Raises:
            Refusal: 422, the server has no key.
        """
        self.check_key()
        one = StreamState(self._network, 1)
        one.set(state)
        document = {"model": self._digest, "time": int(time.time())}
        body = in_memory.pack(one.arrays(), document, KIND)
        return base64.urlsafe_b64encode(bytes([VERSION]) + self._signature(VERSION, body) + body).decode()

    def unpack(self, text: object) -> Any:
        """The state in a text that :meth:`pack` made, here or in a replica.

        Raises:
            Refusal: 422, the text is altered, too old, of another key, model or version; or the server has no key.
        """
        self.check_key()
        try:
            data = base64.b64decode(text if isinstance(text, str) else "", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        body = data[1 + _SIGNATURE :]
        if not body:
            raise Refusal(422, "The state is not one that a server of Holdfast gave.", "state")
        if data[0] != VERSION:
            raise Refusal(
                422, f"The state has format {data[0]}, and this server reads format {VERSION}: begin again.", "state"
            )
        if not hmac.compare_digest(data[1 : 1 + _SIGNATURE], self._signature(VERSION, body)):
            raise Refusal(422, "The state was altered, or signed by a server with another key.", "state")
        try:
            arrays, document = in_memory.unpack(body, KIND, "The state")
        except ModelFileError as error:
            raise Refusal(422, str(error), "state") from error
        if document.get("model") != self._digest:
            raise Refusal(422, "The state is of another model, or of another version of it: begin again.", "state")
        if time.time() - float(document["time"]) > self._seconds:
            raise Refusal(
                422, f"The state is older than {self._seconds:g} seconds (held_state_seconds): begin again.", "state"
            )
        one = StreamState(self._network, 1)
        one.set_arrays(arrays)
        return one.of()

    def check_key(self) -> None:
        """Refuses where the server has no key.

        Raises:
            Refusal: 422.
        """
        if not self._key:
            raise Refusal(422, f"This server gives and takes no states: its {VARIABLE} is not set.", "state")

    def _signature(self, version: int, body: bytes) -> bytes:
        return hmac.digest(self._key, b"holdfast stream state" + bytes([version]) + body, "sha256")

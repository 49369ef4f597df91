"""The other side of ``workers.py``: a process that answers requests about one peer and sleeps between them."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from benchmarks.rounds import settle


def serve(make_peer: Any, *arguments: Any) -> None:
    """Calls a method of the peer for each JSON object on standard input, and writes what it returns to standard output.

    An answer is written only when the threads of the peer sleep again, so they take no core from the next contender.
    """
    answer_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the libraries print to standard error, not between the answers
    peer = make_peer(*arguments)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(peer, request.pop("do"))(**request)
        except Exception as error:  # the parent process reports it as the reason
            answer = {"error": f"{type(error).__name__}: {error}"}
        settle()
        print(json.dumps(answer), file=answer_to, flush=True)

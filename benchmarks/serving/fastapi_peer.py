"""A model behind a plain handler, as many people write one: FastAPI, and torch for each request.

Started as ``python -m benchmarks.serving.fastapi_peer PORT`` by ``speed.py``, in an environment of fastapi.txt.
"""

from __future__ import annotations

import sys

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
torch.set_num_threads(1)
layer = torch.nn.LSTM(80, 256, num_layers=2)
states: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}


class Step(BaseModel):
    """A step of a stream."""

    stream: str
    x: list[float]


@app.get("/")
async def ready() -> dict[str, bool]:
    """Whether it runs."""
    return {"ready": True}


@app.post("/step")
async def step(request: Step) -> dict[str, list[float]]:
    """The output of the step."""
    with torch.inference_mode():
        output, states[request.stream] = layer(torch.tensor([request.x]), states.get(request.stream))
    return {"output": output[0].tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")

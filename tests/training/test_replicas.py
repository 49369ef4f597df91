"""Layers in torch's data-parallel training: every replica ends with the gradient of the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

import holdfast

REPLICAS = 2


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.output = holdfast.LSTM(3, 5, batch_first=True, bidirectional=True), nn.Linear(10, 1)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.output(self.lstm(x, lengths=lengths)[0])
        return out.square().mean()


def made() -> tuple[Model, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return Model(), torch.randn(4, 6, 3), torch.tensor([6, 2, 0, 5])


def replica(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=REPLICAS)
    model, x, lengths = made()
    mine = slice(rank * 2, rank * 2 + 2)
    parallel = DistributedDataParallel(model)  # kept until the backward pass is done, which it takes part in
    parallel(x[mine], lengths[mine]).backward()
    torch.save([p.grad for p in model.parameters()], f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_available(), reason="needs a torch with torch.distributed")
def test_replicas_end_with_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    multiprocessing.spawn(replica, (str(tmp_path),), nprocs=REPLICAS)  # type: ignore[no-untyped-call]
    model, x, lengths = made()
    model(x, lengths).backward()
    for rank in range(REPLICAS):
        for expected, got in zip(model.parameters(), torch.load(tmp_path / f"{rank}.pt"), strict=True):
            assert expected.grad is not None
            torch.testing.assert_close(got, expected.grad)

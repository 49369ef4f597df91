"""SpecAugment (Park et al. 2019): in training, hides ranges of bands and of steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holdfast.tasks.transcribe.settings import MaskingSettings


class SpecAugment(nn.Module):
    """Sets ranges of bands and of steps to 0, the mean of normalised energies; in evaluation it changes nothing.

    These are the paper's masks in frequency and in time, without its time warping. Widths are drawn from 0 to the
    largest width, then places within the recording, all from torch's random state.

    Args:
        settings: The number and the widths of the ranges.
        bands: F, bands per frame; a step may have several frames side by side, with the same bands hidden.
    """

    def __init__(self, settings: MaskingSettings, bands: int) -> None:
        super().__init__()
        self.settings, self.bands = settings, bands

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Hides ranges of the inputs in training.

        Args:
            inputs: [B, T, C], C a multiple of F.
            lengths: Steps of each row, [B]; None when all have T.

        Returns:
            [B, T, C].
        """
        if not self.training:
            return inputs
        rows, steps, values = inputs.shape
        settings, device = self.settings, inputs.device
        if settings.frequency_masks:
            bands = torch.full((rows,), self.bands, device=device)
            hidden = _hidden_places(
                bands, bands.clamp(max=settings.frequency_width), settings.frequency_masks, self.bands
            )
            inputs = inputs.masked_fill(hidden.repeat(1, values // self.bands)[:, None, :], 0.0)
        if settings.time_masks:
            lengths = torch.full((rows,), steps, device=device) if lengths is None else lengths
            most = (settings.time_fraction * lengths).long().clamp(max=settings.time_width)
            inputs = inputs.masked_fill(_hidden_places(lengths, most, settings.time_masks, steps)[:, :, None], 0.0)
        return inputs


def _hidden_places(sizes: Tensor, most: Tensor, number: int, places: int) -> Tensor:
    """Which places are hidden, [B, places]: ``number`` ranges, each at most ``most`` [B] wide, within ``sizes`` [B]."""
    draws = torch.rand(2, len(sizes), number, device=sizes.device)
    widths = (draws[0] * (most + 1)[:, None]).long()
    starts = (draws[1] * (sizes[:, None] - widths + 1)).long()
    place = torch.arange(places, device=sizes.device)[:, None]
    return ((place >= starts[:, None, :]) & (place < (starts + widths)[:, None, :])).any(-1)

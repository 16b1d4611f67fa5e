"""SegFormer-B0 (Xie et al. 2021, arXiv 2105.15203), from the package transformers."""

from __future__ import annotations

import torch
from torch import nn

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.peers.blocks import enlarge
from edgesegnet_ros.extras import install


class MissingPackageError(EdgeSegNetError):
    """A peer's package is not installed."""


class SegFormerB0(nn.Module):
    """SegFormer-B0, built from its configuration alone: nothing is downloaded.

    The paper's Table 1 gives 3.8 million parameters, its Table 2 3.8 for ADE20K's 150 classes and
    3.7 with fewer.

    Args:
        num_classes: Outputs.

    Raises:
        MissingPackageError: transformers is not installed.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        try:
            from transformers import SegformerConfig, SegformerForSemanticSegmentation
        except ImportError:
            raise MissingPackageError(
                f'SegFormer-B0 comes from the package transformers: {install("transformers")}'
            ) from None
        # The configuration's defaults are B0.
        config = SegformerConfig()
        config.num_labels = num_classes
        self.network = SegformerForSemanticSegmentation(config)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits: (N, 3, H, W) -> (N, num_classes, H, W)."""
        return enlarge(self.network(pixel_values=image).logits, image)

"""SegFormer-B0 (Xie et al. 2021, arXiv 2105.15203), from the package transformers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgesegnet_ros.extras import install
from edgesegnet_ros.network.handwritten import HandwrittenNetwork, MissingPackageError


class SegFormerB0(HandwrittenNetwork):
    """SegFormer-B0, built from its configuration alone: nothing is downloaded.

    The paper's Table 1 gives 3.8 million parameters, its Table 2 3.8 for ADE20K's 150 classes and
    3.7 with fewer.

    Args:
        num_classes: Outputs.

    Raises:
        MissingPackageError: transformers is not installed.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
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
        decoder = self.network.decode_head
        self.head, decoder.classifier = decoder.classifier, nn.Identity()

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """See `HandwrittenNetwork.coarse_logits`."""
        return self.head(self.network(pixel_values=image).logits)

    def fold_norms(self) -> None:
        """See `HandwrittenNetwork.fold_norms`."""
        decoder = self.network.decode_head
        decoder.linear_fuse = fuse_conv_bn_eval(decoder.linear_fuse, decoder.batch_norm)
        decoder.batch_norm = nn.Identity()

"""Networks built from designs, as they are trained and as they are deployed."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Set, Tuple

import torch
from torch import nn

from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.blocks import build_block
from edgesegnet_ros.network.design import IMAGE, Design, Layer, whole_factor
from edgesegnet_ros.network.fold import fold_norms
from edgesegnet_ros.network.paper_blocks import RefineModule
from edgesegnet_ros.network.upsampling import enlarge, upsample


class _Step(NamedTuple):
    """A layer as it is computed.

    Attributes:
        name: Name of the layer.
        sources: What it reads.
        factors: By which each is enlarged; 1 for the finest, 0 to the finest one's size.
        finest: Index of the finest source.
        merge: How sources meet: sum, concat or first.
        finished: What nobody reads afterwards.
    """

    name: str
    sources: Tuple[str, ...]
    factors: Tuple[int, ...]
    finest: int
    merge: str
    finished: Tuple[str, ...]


def _steps(design: Design) -> List[_Step]:
    last_reader = {source: layer.name for layer in design.layers for source in layer.sources}
    steps = []
    for layer in design.layers:
        strides = [1 if s == IMAGE else design.extents[s].stride for s in layer.sources]
        finest = strides.index(min(strides))
        factors = tuple(
            1 if stride == min(strides) else whole_factor(stride, min(strides))
            for stride in strides
        )
        finished = tuple(s for s in layer.sources if last_reader[s] == layer.name)
        steps.append(_Step(layer.name, layer.sources, factors, finest, layer.merge, finished))
    return steps


class _Graph(nn.Module):
    """Layers in the order of a design; subclasses put a module under each one's name.

    Attributes:
        design: What it was built from.
        severed: Pairs of a layer and a source that it reads as zeros: to ask what a shortcut
            contributes. Empty in use.
        head_stride: Pixels of the image for each position of the coarse logits, both ways.
    """

    head_stride: int = HEAD_STRIDE

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = design
        self.severed: Set[Tuple[str, str]] = set()
        self._steps = _steps(design)
        stride = design.extents[design.layers[-1].name].stride
        self._to_head = whole_factor(stride, HEAD_STRIDE)

    def _features(self, image: torch.Tensor) -> torch.Tensor:
        """What the last layer gives."""
        found: Dict[str, torch.Tensor] = {IMAGE: image}
        for step in self._steps:
            module = getattr(self, step.name)
            found[step.name] = module(self._read(step, found))
            for name in step.finished:
                del found[name]
        return found[self._steps[-1].name]

    def _read(self, step: _Step, found: Dict[str, torch.Tensor]) -> torch.Tensor:
        """The sources of a layer, enlarged and merged."""
        like = found[step.sources[step.finest]]
        parts = []
        for name, factor in zip(step.sources, step.factors):
            part = found[name]
            if factor > 1:
                part = upsample(part, factor)
            elif factor == 0:
                part = enlarge(part, like)
            parts.append(torch.zeros_like(part) if (step.name, name) in self.severed else part)
        if len(parts) == 1 or step.merge == 'first':
            return parts[0]
        if step.merge == 'concat':
            return torch.cat(parts, dim=1)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def _at_the_heads_size(self, logits: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        if self._to_head == 1:
            return logits
        if self._to_head:
            return upsample(logits, self._to_head)
        size = [side // HEAD_STRIDE for side in image.shape[2:]]
        return nn.functional.interpolate(logits, size=size, mode='bilinear', align_corners=False)


class DesignedNetwork(_Graph):
    """The network of a design, for any height and width divisible by 16.

    Args:
        design: What it is made of; each layer is a module under its name.
        num_classes: Outputs of the classifier.
        training_norms: Give convolutions the batch norms that the design trains them with;
            `network.fold.fold_norms` takes them out again.
    """

    def __init__(self, design: Design, num_classes: int, training_norms: bool = False) -> None:
        super().__init__(design)
        self.num_classes = num_classes
        self.training_norms = training_norms and design.norm == 'batch'
        for layer in design.layers:
            inputs = _width_read(design, layer)
            block = build_block(layer.kind, inputs, layer.properties, self.training_norms)
            self.add_module(layer.name, block)
        width = design.extents[design.layers[-1].name].width
        self.head = nn.Conv2d(width, num_classes, 1)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Everything before the classifier: (N, 3, H, W) -> (N, width, H/stride, W/stride).

        Args:
            image: Normalised floats, H and W divisible by 16.
        """
        return self._features(image)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits with the classifier last: (N, 3, H, W) -> (N, num_classes, H, W)."""
        features = self._at_the_heads_size(self.features(image), image)
        return self.head(upsample(features, HEAD_STRIDE))

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """Logits before the last upsampling: (N, 3, H, W) -> (N, num_classes, H/4, W/4).

        The 1×1 classifier commutes with the bilinear upsampling, so enlarging these by 4 equals
        `forward` but for rounding, at a fraction of its cost.
        """
        return self._at_the_heads_size(self.head(self.features(image)), image)


def _width_read(design: Design, layer: Layer) -> int:
    return 3 if layer.sources == (IMAGE,) else design.reads(layer).width


class DesignedInference(_Graph):
    """The network as it is deployed: (N, 3, H, W) -> logits (N, num_classes, H/4, W/4).

    Enlarged bilinearly by 4 these are `DesignedNetwork.forward`'s logits. Built from a trained
    network, which it copies and leaves alone.
    """

    def __init__(self, model: DesignedNetwork) -> None:
        super().__init__(model.design)
        self.num_classes = model.num_classes
        with torch.no_grad():
            plain = fold_norms(model)
            last = model.design.layers[-1].name
            for layer in model.design.layers:
                block = getattr(plain, layer.name)
                if layer.name == last and isinstance(block, RefineModule):
                    self.add_module(last, block.deployed(plain.head))
                else:
                    self.add_module(layer.name, block.deployed())
            absorbed = isinstance(getattr(plain, last), RefineModule)
            self.head: nn.Module = nn.Identity() if absorbed else plain.head
            self._classifier = f'{last}.project' if absorbed else 'head'
        self.requires_grad_(False)
        self.eval()

    @property
    def classifier_bias(self) -> torch.Tensor:
        """(num_classes,) what is added to each class's logits, to be changed in place."""
        return self.get_submodule(self._classifier).bias

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits at a quarter of the input's size.

        Args:
            image: (N, 3, H, W) normalised floats, H and W divisible by 16.
        """
        return self._at_the_heads_size(self.head(self._features(image)), image)

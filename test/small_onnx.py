"""Small networks of other origin, exported by torch, and what they give."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

SIZE = (64, 96)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
YAML = f'mean: {MEAN}\nstd: {STD}\nclasses: mine.yaml\n'
CLASSES = """
name: mine
classes:
  - {id: 0, name: ground, color: [128, 64, 128]}
  - {id: 1, name: sky, color: [70, 130, 180]}
  - {id: 2, name: rest, color: [0, 0, 0]}
groups:
  drivable: [ground]
"""


class Small(nn.Module):
    """Any network: strided, so that its logits are coarse."""

    def __init__(self, width=3, change=lambda logits: logits):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, width, 3, stride=2, padding=1)
        self.change = change

    def forward(self, pixels):
        return self.change(self.second(F.relu(self.first(pixels))))


def export(path, network, size=SIZE, dynamic=True, example=None):
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    axes = {'image': {2: 'height', 3: 'width'}} if dynamic else None
    torch.onnx.export(
        network.eval(),
        (torch.zeros(1, 3, *size) if example is None else example,),
        str(path),
        input_names=['image'],
        output_names=['out'],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    return path


def expected_of(network, image, mean=MEAN, std=STD):
    pixels = (torch.from_numpy(image).float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    with torch.no_grad():
        logits = network(pixels.permute(2, 0, 1)[None])
    return F.interpolate(logits, image.shape[:2], mode='bilinear', align_corners=False)[0]


def spread(network, image):
    """Let each class win somewhere, which neither random weights nor two steps of training do."""
    with torch.no_grad():
        logits = network.eval().coarse_logits(image)
        scale = 3 / logits.std((0, 2, 3))
        rows = (1, -1) if isinstance(network.head, nn.ConvTranspose2d) else (-1, 1)
        network.head.weight *= scale.reshape(*rows, 1, 1)
        if network.head.bias is not None:
            bias = network.head.bias - logits.mean((0, 2, 3))
            network.head.bias.copy_(bias * scale)

"""The inference form as an ONNX file: bytes in, class ids out.

Opset 17, static shapes. Input `picture` (1, H, W, 3) uint8 RGB; outputs `labels` (1, H, W) uint8
and `logits` (1, classes, H/s, W/s) float32 of a network whose head stride is s. Bytes become
floats, and ids bytes, by single casts from and to float32, which is all that TensorRT knows of
bytes. The file's metadata_props tell its classes, normalisation and weights.
"""

from __future__ import annotations

import inspect
import io
import json
from typing import Dict, Tuple

import onnx
import torch
from torch import nn

from edgesegnet_ros.engines.onnx_names import LABELS, LOGITS, OPSET, PICTURE
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.network.upsampling import upsample


class _BytesToLabels(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.network = recipe.network()
        scale, shift = (torch.from_numpy(values) for values in recipe.normalisation())
        self.register_buffer('scale', scale)
        self.register_buffer('shift', shift)

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        pixels = image.float() * self.scale + self.shift
        logits = self.network(pixels.permute(0, 3, 1, 2))
        labels = upsample(logits, self.network.head_stride).argmax(1)
        return labels.float().to(torch.uint8), logits


def onnx_model(recipe: Recipe) -> onnx.ModelProto:
    """The content of the file, checked."""
    exported = io.BytesIO()
    # torch 2.0 has this exporter alone; later ones prefer another, which needs onnxscript.
    given = inspect.signature(torch.onnx.export).parameters
    options = {'dynamo': False} if 'dynamo' in given else {}
    torch.onnx.export(
        _BytesToLabels(recipe).eval(),
        (torch.zeros(1, *recipe.input_size, 3, dtype=torch.uint8),),
        exported,
        input_names=[PICTURE],
        output_names=[LABELS, LOGITS],
        opset_version=OPSET,
        **options,
    )
    model = onnx.load_from_string(exported.getvalue())
    onnx.helper.set_model_props(model, metadata(recipe))
    onnx.checker.check_model(model, full_check=True)
    return model


def metadata(recipe: Recipe) -> Dict[str, str]:
    """The metadata_props of the file."""
    return {
        'classes': json.dumps([entry.name for entry in recipe.classes.classes]),
        'class_set': recipe.classes.name,
        'ignored_classes': json.dumps(list(recipe.classes.ignored)),
        'mean': json.dumps(recipe.info.mean),
        'std': json.dumps(recipe.info.std),
        'normalisation': 'in the graph: (picture / 255 - mean) / std, RGB',
        'temperature': repr(float(recipe.info.temperature)),
        'resize_mode': recipe.resize_mode,
        'weights_sha256': recipe.weights_sha256,
    }

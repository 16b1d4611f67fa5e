"""The back ends by name; a module is imported when it is asked for."""

from __future__ import annotations

import importlib

from edgesegnet_ros.engines.base import BackEnd

_MODULES = {
    'tensorrt': 'edgesegnet_ros.engines.tensorrt',
    'openvino': 'edgesegnet_ros.engines.openvino',
    'onnxruntime': 'edgesegnet_ros.engines.onnxruntime',
    'torch': 'edgesegnet_ros.engines.pytorch',
}


def back_end(name: str) -> BackEnd:
    """The back end of that name (one of ENGINES but auto)."""
    return importlib.import_module(_MODULES[name]).BACK_END

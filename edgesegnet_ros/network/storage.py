"""Atomic writes of safetensors files."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from edgesegnet_ros.atomic_file import atomic_file


def write_tensors(path: Path, tensors: Dict[str, torch.Tensor], metadata: Dict[str, str]) -> None:
    """Write a safetensors file; after a kill or with a full disk the previous file is complete.

    Args:
        path: The file.
        tensors: By name; copied to the CPU.
        metadata: The file's header.

    Raises:
        WriteError: It could not be written; `path` is as it was.
    """
    contents = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_file(path) as partial:
        try:
            save_file(contents, str(partial), metadata)
        except SafetensorError as error:  # an OSError of its own kind
            raise OSError(str(error)) from None

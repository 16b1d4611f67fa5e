"""Writing a safetensors file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file


def write_whole(path: Path, tensors: Dict[str, torch.Tensor], metadata: Dict[str, str]) -> None:
    """Write beside `path`, then put it in place; a full disk or a kill leaves what was there.

    Args:
        path: The file.
        tensors: By name; copied to the CPU.
        metadata: The file's header.

    Raises:
        OSError: It could not be written; `path` is as it was.
    """
    partial = path.with_name(path.name + '.partial')
    contents = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        # The mode that the user's umask gives: safetensors writes files that nobody else can read.
        partial.touch()
        mode = partial.stat().st_mode
        save_file(contents, str(partial), metadata)
        partial.chmod(mode)
        with open(str(partial), 'rb') as file:
            os.fsync(file.fileno())
        os.replace(str(partial), str(path))
    except (SafetensorError, OSError) as error:
        if partial.exists():
            partial.unlink()
        raise OSError(str(error)) from None
    # The new name is on the disk only when its folder is.
    folder = os.open(str(path.parent), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

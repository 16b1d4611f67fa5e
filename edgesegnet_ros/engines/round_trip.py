"""One upload, one CUDA graph, one download: the path of an image through a GPU.

Bytes go up and class ids come down, both through pinned memory, and the host waits once, at the
end. A copy that changes the dtype on its way to or from a GPU would be converted by the CPU when
it blocks, after four or eight times the bytes had travelled through pageable memory.
"""

from __future__ import annotations

import inspect
import logging
from typing import Callable, Optional, Tuple

import numpy as np
import torch

from edgesegnet_ros.engines.device_path import DevicePath

_WARM_UP = 3
"""Runs before the capture, in which cuDNN selects kernels and allocates workspaces."""
_log = logging.getLogger(__name__)


class RoundTrip:
    """A path between two buffers in host memory.

    On a CPU it does the same with plain memory and no graph, which is how it is tested.

    Args:
        path: On its device.
        confidence: Whether it is computed.
        capture: Whether the path is captured in a CUDA graph: one launch in place of some eighty.

    Raises:
        RuntimeError: CUDA's, such as too little memory.
    """

    def __init__(self, path: DevicePath, confidence: bool, capture: bool = True) -> None:
        on_gpu = path.device.type == 'cuda'
        height, width = self._size = path.input_size
        image = (height, width, 3)
        result = (path.result_size(confidence),)
        self._host_image = torch.zeros(image, dtype=torch.uint8, pin_memory=on_gpu)
        self._host_result = torch.zeros(result, dtype=torch.uint8, pin_memory=on_gpu)
        self._image = torch.zeros(image, dtype=torch.uint8, device=path.device)
        self._result = torch.zeros(result, dtype=torch.uint8, device=path.device)
        # Views of the pinned memory, so that the copy of an image into it is NumPy's alone.
        self._image_array = self._host_image.numpy()
        self._result_array = self._host_result.numpy()

        def compute() -> None:
            path.write_result(self._image, self._result, confidence)

        self._compute: Callable[[], None] = compute
        self._stream: Optional[torch.cuda.Stream] = None
        if on_gpu:
            self._stream = torch.cuda.Stream(path.device)
            # The buffers above are filled on another stream.
            self._stream.wait_stream(torch.cuda.current_stream(path.device))
            if capture:
                self._compute = _captured(compute, self._stream)
                _log.debug(
                    'captured a CUDA graph for %dx%d%s',
                    height,
                    width,
                    ' with confidence' if confidence else '',
                )

    @torch.inference_mode()
    def run(self, image: np.ndarray) -> Tuple[np.ndarray, bool]:
        """Run one image through the path.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (1 or 2, H, W) uint8, overwritten by the next run: class ids, and the confidence where
            it is computed; and whether all logits were finite.

        Raises:
            RuntimeError: CUDA's.
        """
        np.copyto(self._image_array, image)
        with torch.cuda.stream(self._stream):  # of None: nothing
            self._image.copy_(self._host_image, non_blocking=True)
            self._compute()
            self._host_result.copy_(self._result, non_blocking=True)
        if self._stream is not None:
            self._stream.synchronize()
        maps = self._result_array[:-1].reshape(-1, *self._size)
        return maps, bool(self._result_array[-1])


def _captured(compute: Callable[[], None], stream: torch.cuda.Stream) -> Callable[[], None]:
    """The kernels that `compute` launches, as one launch."""
    with torch.inference_mode(), torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            compute()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    # Another thread may use the GPU meanwhile; torch before 2.1 cannot be told so.
    known = inspect.signature(torch.cuda.graph.__init__).parameters
    mode = {'capture_error_mode': 'thread_local'} if 'capture_error_mode' in known else {}
    with torch.inference_mode(), torch.cuda.graph(graph, stream=stream, **mode):
        compute()
    return graph.replay

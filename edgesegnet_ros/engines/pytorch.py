"""PyTorch, on the CPU or a CUDA device."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, Optional, Tuple

import numpy as np
import torch

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.base import BackEnd, Engine, EngineDescription
from edgesegnet_ros.engines.device_path import DevicePath, Logits, write_labels
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.engines.round_trip import RoundTrip

_DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


def choose_device(wanted: str) -> torch.device:
    """The device that `wanted` (auto, cpu, cuda, cuda:N) means here.

    Raises:
        EngineError: It is not there.
    """
    if wanted == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or device.type not in ('cpu', 'cuda'):
        raise EngineError(f'device {wanted!r} is unknown: use auto, cpu, cuda or cuda:N')
    if device.type == 'cuda':
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise EngineError(
                f'device {wanted!r} is not there: torch {torch.__version__} sees {count} CUDA '
                'devices; set device to cpu or auto, or install a torch built for this GPU'
            )
    return device


def choose_precision(wanted: str, device: torch.device) -> Tuple[str, str]:
    """The precision to use, and the reason.

    Raises:
        EngineError: The engine does not have it, or the CPU would only emulate it.
    """
    if device.type == 'cuda':
        native = {'fp32': True, 'fp16': True, 'bf16': torch.cuda.is_bf16_supported()}
        fastest = 'fp16'
    else:
        native = {'fp32': True, 'bf16': cpu.has_bf16(), 'fp16': cpu.has_fp16()}
        fastest = 'bf16' if native['bf16'] else 'fp32'
    if wanted == 'auto':
        return fastest, f'the fastest that the {device.type} computes natively'
    if wanted not in native:
        raise EngineError(
            f'precision {wanted!r} is not one of the torch engine: fp32, bf16 or fp16'
        )
    if not native[wanted]:
        raise EngineError(
            f'precision {wanted!r} would be emulated, many times slower, on this {device.type}: '
            f'set precision to auto ({fastest} here) or fp32'
        )
    return wanted, ''


class TorchEngine(Engine):
    """The inference form in PyTorch.

    On a CPU it is channels last. On a GPU in a half precision it is channels last too, with
    filters padded to the multiples of 8 that tensor cores take; in fp32 it is neither, and TF32 is
    off.

    Args:
        recipe: Recipe of the network; its precision may be auto.
        logits: Computes (1, classes, h, w) logits of (1, 3, H, W) normalised float32 pixels on
            the recipe's device, in place of the recipe's network (which is then not built).

    Raises:
        EngineError: Device or precision is not available.
    """

    def __init__(self, recipe: Recipe, logits: Optional[Logits] = None) -> None:
        self.device = choose_device(recipe.device)
        self.precision, self.reason = choose_precision(recipe.precision, self.device)
        self.input_size = recipe.input_size
        self.num_classes = recipe.info.num_classes
        self._threads = recipe.threads
        self._on_cpu = self.device.type == 'cpu'
        self._finite = True
        self._trips: Dict[bool, RoundTrip] = {}
        if self._on_cpu and torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        half = self.precision != 'fp32'
        dtype = _DTYPES[self.precision]
        form = torch.channels_last if self._on_cpu or half else torch.contiguous_format
        # Graphs of another library's engine are that library's business.
        self._captures = logits is None
        try:
            if logits is None:
                network = recipe.network(padded=half and not self._on_cpu)
                logits = network.to(self.device, dtype, memory_format=form)
            self._path = DevicePath(recipe, logits, self.device, dtype, form)
        except RuntimeError as error:
            raise self._failed(error) from error

    @torch.inference_mode()
    def _infer(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray]
    ) -> None:
        """See `Engine.infer`."""
        try:
            if not self._on_cpu:
                self._infer_on_gpu(image, labels, confidence)
                return
            logits = self._path.compute(torch.from_numpy(image))
            write_labels(logits, torch.from_numpy(labels))
            if confidence is not None:
                self._path.write_confidence(logits, torch.from_numpy(confidence))
        except RuntimeError as error:
            raise self._failed(error) from error

    def _infer_on_gpu(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray]
    ) -> None:
        wanted = confidence is not None
        trip = self._trips.get(wanted)
        if trip is None:
            with torch.cuda.device(self.device), _measured_kernels():
                trip = self._trips[wanted] = RoundTrip(self._path, wanted, self._captures)
        maps, self._finite = trip.run(image)
        np.copyto(labels, maps[0])
        if confidence is not None:
            np.copyto(confidence, maps[1])

    def _failed(self, error: RuntimeError) -> EngineError:
        reason = (str(error).splitlines() or [''])[0]
        return EngineError(f'the torch engine failed on {self.device}: {reason}')

    def _logits_are_finite(self) -> bool:
        return super()._logits_are_finite() if self._on_cpu else self._finite

    def describe(self) -> EngineDescription:
        """See `Engine.describe`."""
        on_cpu = self.device.type == 'cpu'
        device = cpu.name() if on_cpu else torch.cuda.get_device_name(self.device)
        threads = self._threads if on_cpu else 0
        return EngineDescription(
            'torch', self.precision, device, torch.__version__, threads, self.reason
        )

    def last_logits(self) -> Optional[np.ndarray]:
        """See `Engine.last_logits`."""
        logits = self._path.logits
        return None if logits is None else logits.cpu().numpy()

    def _free(self) -> None:
        """See `Engine.close`."""
        self._trips.clear()
        del self._path
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()


@contextmanager
def _measured_kernels() -> Iterator[None]:
    """Let cuDNN benchmark its kernels once, on the shapes of the graph, and without TF32."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32
    cudnn.benchmark, cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32 = before


class TorchBackEnd(BackEnd):
    """The PyTorch back end. It needs no engine file; half precisions must pass the parity gate."""

    name = 'torch'
    runs_on = ('cpu', 'cuda')

    def why_not(self, device: str) -> Optional[str]:
        """See `BackEnd.why_not`."""
        try:
            choose_device(device)
        except EngineError as error:
            return str(error)
        return None

    def precisions(self, device: str) -> Tuple[str, ...]:
        """See `BackEnd.precisions`."""
        fastest, _ = choose_precision('auto', choose_device(device))
        return tuple(dict.fromkeys((fastest, 'fp32')))

    def version(self) -> str:
        """See `BackEnd.version`."""
        return str(torch.__version__)

    def target(self, device: str) -> str:
        """See `BackEnd.target`."""
        found = choose_device(device)
        if found.type == 'cpu':
            return cpu.target()
        major, minor = torch.cuda.get_device_capability(found)
        return f'{torch.cuda.get_device_name(found)} (compute capability {major}.{minor})'

    def load(self, recipe: Recipe, path: Path) -> Engine:
        """See `BackEnd.load`."""
        return TorchEngine(recipe)


BACK_END = TorchBackEnd()

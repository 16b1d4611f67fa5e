"""Weights files: safetensors in half precision, with all that is needed to use them.

A safetensors file holds arrays and text alone, so loading one executes nothing from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

import torch
from safetensors import SafetensorError, safe_open

from edgesegnet_ros.atomic_file import WriteError
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.design import Design, DesignError
from edgesegnet_ros.network.design_file import design_of
from edgesegnet_ros.network.fold import fold_norms
from edgesegnet_ros.network.handwritten import MissingPackageError
from edgesegnet_ros.network.normalisation import IMAGENET_MEAN, IMAGENET_STD
from edgesegnet_ros.network.registry import (
    Network,
    NetworkError,
    build_network,
    identity_of,
    name_of,
)
from edgesegnet_ros.network.storage import write_tensors

FORMAT = 'edgesegnet_ros/1'


class WeightsError(EdgeSegNetError):
    """A weights file that is missing, truncated or not one of this package."""


class WeightsInfo(NamedTuple):
    """The header of a weights file.

    Attributes:
        classes: Name of the class file that the outputs follow.
        num_classes: Outputs of the classifier.
        input_size: Height and width that it was trained for; files without it are of 256x256.
        mean: Subtracted from red, green and blue in 0-1.
        std: Divides the difference.
        temperature: Divides the logits before a softmax is read as a confidence.
        network: Name of a design, which the file's header holds too, or key of
            `registry.NETWORKS`. Files without it are EdgeSegNet's.
        resize_mode: How images are brought to the input size: `stretch`, which files without it
            are of, or `letterbox`.
        class_set: The class set that was trained, as a class file holds it (see
            `data.classes.class_set_of`); None in files of before there was one.
    """

    classes: str
    num_classes: int
    input_size: Tuple[int, int] = (256, 256)
    mean: Tuple[float, float, float] = IMAGENET_MEAN
    std: Tuple[float, float, float] = IMAGENET_STD
    temperature: float = 1.0
    network: str = 'edgesegnet'
    resize_mode: str = 'stretch'
    class_set: Optional[Dict[str, Any]] = None


def save_weights(
    path: Union[str, Path],
    model: Network,
    info: WeightsInfo,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write `model` without its training norms, atomically.

    Args:
        path: A .safetensors file; one that is there stays whole until the new one is.
        model: Any network of the registry, whose name and design the file gets.
        info: The rest of what the file says.
        dtype: Number format of the stored floats.

    Raises:
        WeightsError: It could not be written.
    """
    path = Path(path)
    plain = fold_norms(model)
    tensors: Dict[str, torch.Tensor] = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in plain.state_dict().items()
    }
    fields = info._replace(network=name_of(model))._asdict()
    class_set = fields.pop('class_set')
    header = {'format': FORMAT, 'info': json.dumps(fields)}
    if class_set is not None:
        header['class_set'] = json.dumps(class_set)
    design = identity_of(model)
    if isinstance(design, Design):
        header['design'] = json.dumps(design.as_dict())
    try:
        write_tensors(path, tensors, header)
    except WriteError as error:
        raise WeightsError(f'{error}; the file that was there is unchanged') from None


def store_temperature(path: Union[str, Path], temperature: float) -> None:
    """Give a weights file another temperature; see `store_info`.

    Args:
        path: Path of the file.
        temperature: Divides the logits before the softmax, above 0.

    Raises:
        ValueError: A temperature that is not above 0 and finite.
        WeightsError: The file is none of this package, or cannot be replaced.
    """
    if not 0.0 < temperature < float('inf'):
        raise ValueError(f'a temperature is above 0 and finite, not {temperature}')
    store_info(path, temperature=float(temperature))


def store_info(path: Union[str, Path], **changes: Any) -> None:
    """Change what a weights file says of itself; its arrays stay bit for bit what they were.

    Args:
        path: Of a file that `save_weights` wrote; replaced whole or not at all.
        changes: Fields of `WeightsInfo`, such as resize_mode='letterbox'.

    Raises:
        ValueError: A field that does not exist.
        WeightsError: The file is none of this package, or cannot be replaced.
    """
    unknown = set(changes) - set(WeightsInfo._fields) | set(changes) & {'class_set', 'network'}
    if unknown:
        raise ValueError(f'{", ".join(sorted(unknown))}: cannot be changed in a weights file')
    path = Path(path)
    load_weights(path)
    with safe_open(str(path), framework='pt') as file:
        metadata = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    info = {**json.loads(metadata['info']), **changes}
    metadata['info'] = json.dumps(info)
    try:
        write_tensors(path, tensors, metadata)
    except WriteError as error:
        raise WeightsError(
            f'{error}; to change what it says of itself, copy the file to a folder that you may '
            'write to, and give the copy to --model'
        ) from None


def load_weights(path: Union[str, Path]) -> Tuple[Network, WeightsInfo]:
    """Read a model, in fp32 and evaluation mode.

    Raises:
        WeightsError: The file is missing, truncated, or not of a network of the registry.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(
            f'{path}: no such weights file; give `model` the name of a shipped model or the path '
            'of a .safetensors file that `edgesegnet train` wrote'
        )
    try:
        with safe_open(str(path), framework='pt') as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f'{path}: not a whole safetensors file ({error}); copy it again, or train one with '
            '`edgesegnet train`'
        ) from None
    if metadata.get('format') != FORMAT:
        raise WeightsError(
            f'{path}: a safetensors file, but not one of {FORMAT}; use one that '
            '`edgesegnet train` wrote'
        )
    fields: Dict[str, Any] = {}
    try:
        given = json.loads(metadata['info'])
        # What a later version has added is left alone.
        for name in WeightsInfo._fields:
            if name in given:
                value = given[name]
                fields[name] = tuple(value) if isinstance(value, list) else value
        if 'class_set' in metadata:
            fields['class_set'] = json.loads(metadata['class_set'])
        info = WeightsInfo(**fields)
        described = metadata.get('design')
        design = design_of(json.loads(described), str(path)) if described else info.network
        model = build_network(design, info.num_classes)
        model.load_state_dict(
            {
                name: value.float() if value.is_floating_point() else value
                for name, value in tensors.items()
            }
        )
    except MissingPackageError as error:
        raise WeightsError(f'{path}: {error}') from None
    except (KeyError, TypeError, ValueError, RuntimeError, NetworkError, DesignError) as error:
        raise WeightsError(
            f'{path}: does not fit the network {fields.get("network", "edgesegnet")} '
            f'({str(error).splitlines()[0]}); use a file that `edgesegnet train` wrote'
        ) from None
    return model.eval(), info

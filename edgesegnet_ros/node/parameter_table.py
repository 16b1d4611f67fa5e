"""Every parameter of the node, once: the node, the launch files and the tests read it here.

Nothing in this room needs rclpy, so that a launch file can list the parameters without a node.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Optional, Tuple, Union

from edgesegnet_ros.data.geometry import RESIZE_MODES
from edgesegnet_ros.engines.base import ENGINES, PRECISIONS
from edgesegnet_ros.network import STRIDE

Value = Union[bool, int, float, str, List[int], List[str]]
ALL_GROUPS = '*'
"""Stands in `groups` for every group of the class file."""
GROUP_CLASSES = re.compile(r'group\.([A-Za-z][A-Za-z0-9_]*)\.classes')
"""Names of the parameters that say what a group holds."""


class NodeParameter(NamedTuple):
    """One parameter of the node.

    Attributes:
        name: As in a parameter file.
        default: Its value, which also gives its type.
        description: One sentence, with the unit.
        live: Whether it changes while the node is configured; others want a clean-up first.
        choices: The allowed texts, where only some are.
        range: Smallest and largest value, where it is a number.
    """

    name: str
    default: Value
    description: str
    live: bool = False
    choices: Tuple[str, ...] = ()
    range: Optional[Tuple[float, float]] = None

    @property
    def allowed(self) -> str:
        """What is allowed, for people."""
        if self.choices:
            return 'one of ' + ', '.join(self.choices)
        if self.range:
            return f'from {self.range[0]:g} to {self.range[1]:g}'
        if self.name == 'input_size':
            return f'two multiples of {STRIDE}, height and width, each from {STRIDE} to 4096'
        return {bool: 'true or false', str: 'a text'}.get(type(self.default), 'a list of texts')

    def objection(self, value: object) -> Optional[str]:
        """Why `value` is refused, or None: its name, the value and what is allowed."""
        if self.choices:
            fine = value in self.choices
        elif self.range:
            fine = isinstance(value, (int, float)) and self.range[0] <= value <= self.range[1]
        elif self.name == 'input_size':
            sizes = list(value) if hasattr(value, '__iter__') else []
            fine = len(sizes) == 2 and all(
                type(size) is int and STRIDE <= size <= 4096 and size % STRIDE == 0
                for size in sizes
            )
        else:
            fine = value != '' or self.default == ''
        return None if fine else f'{self.name} = {value!r} is refused: {self.allowed}'


PARAMETERS: Tuple[NodeParameter, ...] = (
    NodeParameter(
        'model',
        'edgesegnet-camvid11',
        'Name of a shipped model, or path of a .safetensors weights file.',
    ),
    NodeParameter(
        'classes',
        'camvid11',
        'Name of a shipped class file, or path of one (.yaml); it fits the weights.',
    ),
    NodeParameter(
        'engine',
        'auto',
        'What computes the network; auto takes the fastest that is present.',
        choices=ENGINES,
    ),
    NodeParameter(
        'precision',
        'auto',
        'Number format of the network; auto takes the fastest that the hardware really has.',
        choices=PRECISIONS,
    ),
    NodeParameter(
        'device',
        'auto',
        'Where the network runs: auto, cpu, cuda, cuda:N or (TensorRT alone) dla:N.',
    ),
    NodeParameter(
        'num_threads',
        0,
        'CPU threads of the network; 0 takes all cores.',
        range=(0, 1024),
    ),
    NodeParameter(
        'input_size',
        [256, 256],
        "Height and width of the network's input in pixels, multiples of 16.",
    ),
    NodeParameter(
        'resize_mode',
        'stretch',
        'How an image is brought to input_size: stretch fills it, letterbox keeps the aspect.',
        choices=RESIZE_MODES,
    ),
    NodeParameter(
        'output_resolution',
        'input',
        'Size of all outputs: that of the input image, or that of the network.',
        choices=('input', 'network'),
    ),
    NodeParameter(
        'image_transport',
        'raw',
        'Subscribe to sensor_msgs/Image, or to sensor_msgs/CompressedImage on <image>/compressed.',
        choices=('raw', 'compressed'),
    ),
    NodeParameter(
        'max_age_ms',
        0.0,
        'Older images, by their stamp and the ROS clock, are dropped; in ms, 0 switches it off.',
        live=True,
        range=(0.0, 3.6e6),
    ),
    NodeParameter(
        'max_rate_hz',
        0.0,
        'Images beyond this rate are dropped; in Hz, 0 switches it off.',
        live=True,
        range=(0.0, 1000.0),
    ),
    NodeParameter(
        'lazy',
        True,
        'Images that nobody would see the result of are counted, but not segmented.',
        live=True,
    ),
    NodeParameter(
        'unlabeled_below',
        0.0,
        'Pixels of a smaller confidence (0-1) become 255, unlabelled.',
        live=True,
        range=(0.0, 1.0),
    ),
    NodeParameter(
        'groups',
        [ALL_GROUPS],
        'Names of the groups that get a mask of their own; * stands for all of the class file.',
        live=True,
    ),
    NodeParameter(
        'overlay_alpha',
        0.5,
        'Share of the class colours in the overlay, 0 (image alone) to 1 (colours alone).',
        live=True,
        range=(0.0, 1.0),
    ),
    NodeParameter(
        'parity_frames',
        '',
        'Folder of pictures that an engine is proved on before it may publish; empty takes '
        'rendered streets.',
    ),
    NodeParameter(
        'engine_cache',
        '',
        'Folder of built engines; empty takes ~/.cache/edgesegnet_ros.',
    ),
    NodeParameter(
        'on_engine_failure',
        'error',
        'When the engine fails or is refused: error deactivates and cleans up, torch goes on with '
        'that engine.',
        choices=('error', 'torch'),
    ),
    NodeParameter(
        'autostart',
        False,
        'Configure and activate by itself, without a lifecycle manager.',
    ),
)
BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}

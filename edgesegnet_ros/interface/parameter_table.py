"""Every parameter of the node, defined once.

The node declares them from here, the launch files make arguments of them, and
`python -m edgesegnet_ros.interface.documents` prints the table of the documentation and
config/edgesegnet.yaml from them.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Optional, Tuple, Union

from edgesegnet_ros import shipped
from edgesegnet_ros.engines.request import ENGINES, PRECISIONS, RESIZE_CHOICES
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network import STRIDE

Value = Union[bool, int, float, str, List[int], List[str]]
ALL_GROUPS = '*'
"""Stands in `groups` for every group of the class file."""
INSIDE, OUTSIDE = 'inside', 'outside'
"""Values of group.<name>.unlabeled."""
_SHOWN = 100


class NodeParameterError(EdgeSegNetError):
    """A parameter's value that is refused; the message has name, value and what is allowed."""


def shown(value: object) -> str:
    """A value for a message, however long it is."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f'{text[:_SHOWN]}… ({len(text)} characters)'


class NodeParameter(NamedTuple):
    """One parameter of the node.

    Attributes:
        name: As in a parameter file.
        default: Its value, which also gives its type.
        description: One or two sentences, with the unit.
        live: Whether it can change while the node is configured; other parameters require a
            cleanup first.
        choices: The allowed strings, where there is a list of them.
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
        """The allowed values in words."""
        if self.choices:
            return 'one of ' + ', '.join(self.choices)
        if self.range:
            return f'from {self.range[0]:g} to {self.range[1]:g}'
        if self.name == 'input_size':
            return (
                f'two multiples of {STRIDE}, height and width, each from {STRIDE} to 4096, or '
                '[0, 0] for those of the weights'
            )
        return {bool: 'true or false', str: 'a non-empty string'}.get(
            type(self.default), 'a list of strings'
        )

    def objection(self, value: object) -> Optional[str]:
        """Why `value` is refused (name, value, allowed values); None where it is accepted."""
        if self.choices:
            fine = value in self.choices
        elif self.range:
            fine = isinstance(value, (int, float)) and self.range[0] <= value <= self.range[1]
        elif self.name == 'input_size':
            sizes = list(value) if hasattr(value, '__iter__') else []
            fine = len(sizes) == 2 and all(type(size) is int for size in sizes)
            fine = fine and (
                not any(sizes)
                or all(STRIDE <= size <= 4096 and size % STRIDE == 0 for size in sizes)
            )
        else:
            fine = value != '' or self.default == ''
        return None if fine else f'{self.name} = {shown(value)} is refused: {self.allowed}'


class Section(NamedTuple):
    """Parameters that belong together in config/edgesegnet.yaml.

    Attributes:
        title: What they are about.
        parameters: In the order of the documentation.
        note: Lines of YAML comments that follow them.
    """

    title: str
    parameters: Tuple[NodeParameter, ...]
    note: Tuple[str, ...] = ()


SECTIONS: Tuple[Section, ...] = (
    Section(
        'The model and its classes. A bare name is a shipped file (models/, config/classes/).',
        (
            NodeParameter(
                'model',
                shipped.DEFAULT_MODEL,
                'Name of a shipped model, or path of a .safetensors weights file.',
            ),
            NodeParameter(
                'classes',
                shipped.DEFAULT_CLASSES,
                'Name of a shipped class file, or path of a class file (.yaml) for these weights.',
            ),
            NodeParameter(
                'groups',
                [ALL_GROUPS],
                'Names of the groups that get a mask of their own; * stands for all groups of the '
                "class file, [''] for none.",
                live=True,
            ),
        ),
        (
            'To define a group, name it in groups and list its classes:',
            'group.vehicles.classes: [car]',
            'group.vehicles.unlabeled: inside',
            'group.vehicles.min_confidence: 0.6',
        ),
    ),
    Section(
        'The engine that runs the network.',
        (
            NodeParameter(
                'engine',
                'auto',
                'Library that runs the network; auto takes the fastest one that is installed.',
                choices=ENGINES,
            ),
            NodeParameter(
                'precision',
                'auto',
                'Number format of the network; auto takes the fastest that the hardware supports '
                'natively.',
                choices=PRECISIONS,
            ),
            NodeParameter(
                'device',
                'auto',
                'Device of the network: auto, cpu, cuda, cuda:N or (TensorRT only) dla:N.',
            ),
            NodeParameter(
                'num_threads',
                0,
                'CPU threads of the network; 0, or more than there are cores, uses all cores.',
                range=(0, 1024),
            ),
            NodeParameter(
                'parity_frames',
                '',
                'Folder of images on which an engine must agree with the fp32 network before the '
                'node uses it; empty uses rendered streets.',
            ),
            NodeParameter(
                'engine_cache',
                '',
                'Folder of built engines; empty uses ~/.cache/edgesegnet_ros.',
            ),
            NodeParameter(
                'inference_timeout_s',
                10.0,
                'An engine that works on one image for longer than this has failed; in s, checked '
                'once per second.',
                live=True,
                range=(0.5, 3600.0),
            ),
            NodeParameter(
                'on_engine_failure',
                'error',
                'What to do when the engine fails or is refused: error deactivates and cleans up '
                'the node, torch continues with the torch engine.',
                choices=('error', 'torch'),
            ),
        ),
    ),
    Section(
        'From the camera image to the network and back.',
        (
            NodeParameter(
                'image_transport',
                'raw',
                'Subscribe to sensor_msgs/Image on the image topic (raw), or to '
                'sensor_msgs/CompressedImage on <image>/compressed (compressed).',
                choices=('raw', 'compressed'),
            ),
            NodeParameter(
                'refuse_damaged_jpeg',
                True,
                'Refuse JPEG images whose data libjpeg warns of, where simplejpeg is installed; '
                'false is for a camera that sends such data with every image. JPEG images that '
                'are cut off are always refused.',
                live=True,
            ),
            NodeParameter(
                'input_size',
                [0, 0],
                "Height and width of the network's input in pixels, multiples of 16; [0, 0] for "
                'those of the weights.',
            ),
            NodeParameter(
                'resize_mode',
                'auto',
                'How an image is resized to input_size: stretch fills it, letterbox keeps the '
                'aspect ratio, auto does what the weights say.',
                choices=RESIZE_CHOICES,
            ),
            NodeParameter(
                'output_resolution',
                'input',
                "Size of all outputs: the input image's, or the network's.",
                choices=('input', 'network'),
            ),
        ),
    ),
    Section(
        'Which images are segmented.',
        (
            NodeParameter(
                'lazy',
                True,
                'Skip inference (but count the frame) when no output has a subscriber.',
                live=True,
            ),
            NodeParameter(
                'max_age_ms',
                0.0,
                'Drop images that are older than this by their stamp and the ROS clock; in ms, '
                '0 disables the check.',
                live=True,
                range=(0.0, 3.6e6),
            ),
            NodeParameter(
                'max_image_pixels',
                7680 * 4320,
                'Refuse images with more pixels (height times width) before they are decoded.',
                live=True,
                range=(1, 2**30),
            ),
            NodeParameter(
                'max_rate_hz',
                0.0,
                'Drop images that arrive faster than this; in Hz, 0 disables the limit.',
                live=True,
                range=(0.0, 1000.0),
            ),
        ),
    ),
    Section(
        'What is published.',
        (
            NodeParameter(
                'unlabeled_below',
                0.0,
                'Pixels with a confidence (0-1) below this become 255 (unlabelled).',
                live=True,
                range=(0.0, 1.0),
            ),
            NodeParameter(
                'overlay_alpha',
                0.5,
                'Opacity of the class colours in the overlay, from 0 (image only) to 1 (colours '
                'only).',
                live=True,
                range=(0.0, 1.0),
            ),
        ),
    ),
    Section(
        'Start. The launch files set autostart by an argument of their own (default true), '
        'whatever this file says.',
        (
            NodeParameter(
                'autostart',
                False,
                'Configure and activate at start, without a lifecycle manager.',
            ),
        ),
    ),
)
PARAMETERS = tuple(parameter for section in SECTIONS for parameter in section.parameters)
BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}
GROUP_PARAMETERS: Tuple[NodeParameter, ...] = (
    NodeParameter(
        'classes',
        [''],
        "Names of the classes in this group; [''] uses the classes that the class file lists.",
        live=True,
    ),
    NodeParameter(
        'unlabeled',
        OUTSIDE,
        'Whether unlabelled pixels, and those below min_confidence, are outside or inside the '
        'mask of this group, whatever their class: outside for areas that must be certain '
        '(drivable), inside for objects that must not be missed (obstacles).',
        live=True,
        choices=(OUTSIDE, INSIDE),
    ),
    NodeParameter(
        'min_confidence',
        0.0,
        'Pixels with a confidence below this are uncertain for this group; the parameter '
        'unlabeled says on which side of its mask they are. The other outputs do not change.',
        live=True,
        range=(0.0, 1.0),
    ),
)
"""What each group has, as group.<group>.<name>."""
GROUP_PARAMETER = re.compile(
    r'group\.(?P<name>[A-Za-z][A-Za-z0-9_]*)\.(?P<what>'
    + '|'.join(parameter.name for parameter in GROUP_PARAMETERS)
    + ')'
)
"""Names of the parameters of a group."""


def group_parameters(group: str) -> Tuple[NodeParameter, ...]:
    """The parameters of one group under their full names; `<name>` stands for any."""
    return tuple(
        parameter._replace(name=f'group.{group}.{parameter.name}')
        for parameter in GROUP_PARAMETERS
    )

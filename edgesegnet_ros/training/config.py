"""The settings of a training run: a documented dataclass, read from YAML and options."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from edgesegnet_ros import shipped
from edgesegnet_ros.data.geometry import RESIZE_MODES, compute_placement
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.lined_yaml import Lines, read_lines
from edgesegnet_ros.network import STRIDE


class ConfigError(EdgeSegNetError):
    """A setting that cannot be used; the message names it, and its line in the file."""


def setting(
    default: Any, text: str, *choices: str, low: float | None = None, high: float | None = None
) -> Any:
    """A field of TrainConfig with its description, which is also the help text, and its range."""
    return field(
        default=default,
        metadata={
            'help': text,
            'choices': choices,
            'low': low,
            'high': high,
        },
    )


@dataclass(frozen=True)
class TrainConfig:
    """All settings that determine the outcome of a run; each is an option of `edgesegnet train`.

    Raises:
        ConfigError: A value that cannot be used.
    """

    network: str = setting(
        'edgesegnet',
        'network to train: the name of a shipped design, the path of a design file, '
        'refinenet101, unet (a teacher for --distillation), or a network of `edgesegnet bench`: '
        'enet, erfnet, fast-scnn, bisenetv2, ddrnet-23-slim, pidnet-s or segformer-b0',
    )
    epochs: int = setting(
        24, 'number of epochs; an epoch has camvid_views plus rendered views', low=1
    )
    minutes: float = setting(
        0.0,
        'length of the run in minutes of training, instead of epochs; validation is not counted; '
        '0 uses epochs',
        low=0,
    )
    batch: int = setting(4, 'views per step, over all processes together', low=1)
    seed: int = setting(1, 'seed of all random numbers', low=0)

    # Data.
    input_size: tuple[int, int] = setting(
        (256, 256), 'height and width of a whole image at scale 1, in pixels'
    )
    resize_mode: str = setting(
        'stretch',
        'how an image is resized to input_size: stretch fills it, letterbox keeps the aspect '
        'ratio; the weights file stores it, and all that use the weights do the same',
        *RESIZE_MODES,
    )
    crop: tuple[int, int] = setting((192, 192), 'height and width of a training view, in pixels')
    scale_min: float = setting(0.66, 'smallest random scale of a view', low=0.1)
    scale_max: float = setting(1.6, 'largest random scale of a view', low=0.1)
    aspect: float = setting(
        0.1, 'largest random change of the aspect ratio, as a share of the width', low=0, high=0.5
    )
    flip: bool = setting(True, 'mirror half of the views')
    color: float = setting(
        1.0,
        'strength of random brightness, contrast, gamma, balance, saturation and blur; 0 for none',
        low=0,
        high=2,
    )
    tone: float = setting(
        0.0,
        'share of the views that take over some of the light and colours of another image',
        low=0,
        high=1,
    )
    light: float = setting(0.0, 'strength of uneven light and of noise; 0 for none', low=0, high=2)
    mix: float = setting(
        0.0,
        'share of the views onto which half of the classes of another view are pasted',
        low=0,
        high=1,
    )
    paste: float = setting(
        0.0,
        'share of the views onto which the thin classes (below 2 % of the '
        'pixels) of another view are pasted',
        low=0,
        high=1,
    )
    shrinking: str = setting(
        'area',
        'how images are shrunk: area (as in inference), linear (sharper), or mixed',
        'area',
        'linear',
        'mixed',
    )
    camvid_views: int = setting(
        0, 'views of dataset images per epoch, drawn at random; 0 for each image once', low=0
    )
    drive_balance: float = setting(
        0.0,
        'exponent of the inverse number of images of a drive, with which drives are sampled; 1 '
        'samples all drives equally often',
        low=0,
        high=1,
    )
    rendered: int = setting(160, 'views of rendered streets per epoch', low=0)
    rendered_pool: int = setting(480, 'number of different rendered scenes', low=0)
    reuse: float = setting(
        0.0,
        'share of the views of each epoch after the first that come from earlier epochs; the '
        'answers of --teacher to them are read from the folder of the run, so that large '
        'teachers cost little',
        low=0,
        high=1,
    )
    workers: int = setting(
        0,
        'data loading processes; 0 loads in the training process',
        low=0,
    )

    # Loss.
    class_balance: float = setting(
        0.4, 'exponent of the inverse class frequency that weights the loss', low=0, high=1
    )
    label_smoothing: float = setting(
        0.0,
        'label smoothing: share of the target that is spread over all classes',
        low=0,
        high=0.5,
    )
    distillation: float = setting(
        0.0, 'share of the loss that is the divergence from --teacher, 0 to 1', low=0, high=1
    )
    distillation_temperature: float = setting(
        2.0, 'temperature of the softmax of teacher and student', low=0.1
    )
    teacher_margin: int = setting(
        0,
        'rows and columns that the teacher sees in addition to the crop; a multiple of 16',
        low=0,
    )

    # Optimisation.
    optimizer: str = setting(
        'adamw',
        'AdamW, SGD with Nesterov momentum, or Muon for the hidden '
        'convolutions with AdamW for the rest',
        'adamw',
        'sgd',
        'muon',
    )
    learning_rate: float = setting(2e-3, 'peak learning rate', low=0)
    momentum: float = setting(0.9, 'momentum of SGD', low=0, high=1)
    weight_decay: float = setting(
        1e-2, 'weight decay of convolutions; norms and biases have none', low=0
    )
    gradient_norm: float = setting(
        5.0, 'largest norm of the gradients; larger ones are clipped', low=0
    )
    warmup_epochs: float = setting(1.0, 'epochs over which the learning rate rises', low=0)
    warmup_share: float = setting(
        0.0, 'warm-up as a share of the run; above 0 it replaces warmup_epochs', low=0, high=1
    )
    schedule: str = setting(
        'cosine',
        'learning rate after the warm-up: cosine falls to the end; wsd is constant and falls over '
        'the last decay_epochs; constant does not fall',
        'cosine',
        'wsd',
        'constant',
    )
    decay_epochs: float = setting(
        4.0, 'wsd: number of epochs at the end over which the learning rate falls', low=0
    )
    decay_share: float = setting(
        0.0, 'decay as a share of the run; above 0 it replaces decay_epochs', low=0, high=1
    )
    final_rate: float = setting(0.01, 'final learning rate, as a share of the peak', low=0, high=1)
    ema_decay: float = setting(
        0.998, 'decay of the averaged weights, which are scored and kept', low=0, high=0.99999
    )
    training_norms: bool = setting(
        True,
        'designs: add a batch norm to each convolution without one; they are folded into the '
        'convolutions when weights are saved',
    )
    freeze_norms: bool = setting(
        False, 'freeze the statistics of batch norms, for small batches with --init'
    )
    freeze_body_epochs: int = setting(
        0,
        'number of epochs at the start in which only the classifier is trained, for new classes '
        'with --init',
        low=0,
    )
    filter_multiple: int = setting(
        0,
        'during training, pad the number of filters with zeros to a multiple of this, for tensor '
        'cores; 0 uses 8 on a GPU and no padding on a CPU',
        low=0,
        high=64,
    )
    precision: str = setting(
        'auto',
        'number format of the forward pass; auto: the fastest that the hardware supports natively',
        'auto',
        'fp32',
        'bf16',
        'fp16',
    )

    # Intervals.
    validate_every: int = setting(2, 'epochs between two validations', low=1)
    checkpoint_minutes: float = setting(
        10.0,
        'minutes between two checkpoints within an epoch; each epoch ends with a checkpoint, too',
        low=0,
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            checked(one.name, getattr(self, one.name))
        if self.scale_min > self.scale_max:
            raise ConfigError(f'scale_min {self.scale_min} is above scale_max {self.scale_max}')
        if self.minutes and not (
            self.warmup_share and (self.schedule != 'wsd' or self.decay_share)
        ):
            raise ConfigError(
                'minutes needs a schedule in shares of the run: give warmup_share, such as 0.02, '
                'and for wsd decay_share, such as 0.6'
            )
        if self.teacher_margin % STRIDE:
            raise ConfigError(
                f'teacher_margin {self.teacher_margin} must be a multiple of {STRIDE}'
            )

    def frame(self, image: tuple[int, int]) -> tuple[int, int]:
        """Height and width that an image of a height and width has at scale 1."""
        return compute_placement(image, self.input_size, self.resize_mode).content

    @property
    def view(self) -> tuple[int, int]:
        """Height and width of a view: the crop and the teacher's margin."""
        margin = self.teacher_margin if self.distillation else 0
        return self.crop[0] + margin, self.crop[1] + margin


_FIELDS = {one.name: one for one in fields(TrainConfig)}


def checked(name: str, value: Any) -> Any:
    """A setting's value, converted to its type.

    Raises:
        ConfigError: There is no such setting, or the value is not allowed.
    """
    if name not in _FIELDS:
        raise ConfigError(f'no setting is named {name!r}; there are {", ".join(_FIELDS)}')
    default, rules = _FIELDS[name].default, _FIELDS[name].metadata
    if isinstance(default, tuple):
        return _checked_size(name, value)
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    # `1e-3` is a string in YAML 1.1, which requires `1.0e-3`.
    if isinstance(default, float) and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            pass
    if type(value) is not type(default):
        kind = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text'}
        raise ConfigError(f'{name} {value!r}: it must be {kind[type(default)]}, such as {default}')
    if rules['choices'] and value not in rules['choices']:
        raise ConfigError(f'{name} {value!r}: one of {", ".join(rules["choices"])}')
    low, high = rules['low'], rules['high']
    if low is not None and not value >= low or high is not None and not value <= high:
        allowed = f'{low} or more' if high is None else f'{low} to {high}'
        raise ConfigError(f'{name} {value}: {allowed}')
    return value


def _checked_size(name: str, value: Any) -> tuple[int, int]:
    if (
        not isinstance(value, list | tuple)
        or len(value) != 2
        or any(type(side) is not int or side < STRIDE or side % STRIDE for side in value)
    ):
        raise ConfigError(
            f'{name} {value!r}: height and width, multiples of {STRIDE}, such as [256, 256]'
        )
    return tuple(value)


def read_settings(name: str) -> dict[str, Any]:
    """The settings in a YAML file, by name.

    Args:
        name: Name of a shipped file, or a path.

    Raises:
        ConfigError: The file cannot be used; the message names file and line.
        ShippedFileError: No shipped file has that name.
    """
    path = Path(shipped.find('training', name))
    if not path.is_file():
        raise ConfigError(
            f'{path}: no such training configuration; shipped are '
            f'{", ".join(shipped.names("training"))}'
        )
    document = read_lines(path, ConfigError)
    if document is None:
        return {}
    if not isinstance(document, Lines):
        raise ConfigError(f'{path}:1: a training configuration maps settings to values')
    settings = {}
    for key, value in document.items():
        try:
            settings[key] = checked(key, value)
        except ConfigError as error:
            raise ConfigError(f'{path}:{document.key_lines[key]}: {error}') from None
    return settings

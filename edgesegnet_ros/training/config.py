"""What a training run is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TrainConfig:
    """All that decides a run's outcome; every field is an option of `edgesegnet train`."""

    epochs: int = 24                   # passes over the training images
    batch: int = 4                     # views a step
    input_size: tuple[int, int] = (256, 256)  # height, width of whole pictures: scale 1
    crop: tuple[int, int] = (192, 192)  # height, width of a training view
    scale_min: float = 0.66            # random scale of a view, relative to input_size
    scale_max: float = 1.6
    rendered: int = 160                # rendered street scenes an epoch, beside CamVid's
    rendered_pool: int = 480           # different rendered scenes in all
    learning_rate: float = 2e-3        # AdamW, at its peak; falls along a cosine
    weight_decay: float = 1e-2
    warmup_epochs: float = 1.0         # the rate rises linearly so long
    ema_decay: float = 0.998           # of the averaged weights, which are what is kept
    class_balance: float = 0.4         # power of a class's inverse frequency that weighs its loss
    gradient_norm: float = 5.0         # longer gradients are shortened to this
    training_norms: bool = True        # foldable batch norms behind the paper's bare convolutions
    validate_every: int = 2            # epochs between two looks at val
    seed: int = 1

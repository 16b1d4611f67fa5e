"""A study that is small enough for a test, and its explorer."""

from functools import cache

import yaml

from edgesegnet_ros.exploration import worker
from edgesegnet_ros.exploration.figures import counted
from edgesegnet_ros.exploration.settings import Settings
from edgesegnet_ros.exploration.storage import open_study
from edgesegnet_ros.network.design_file import design_of

SIZE = (32, 32)
TINY = Settings(
    input_size=SIZE,
    views=8,
    steps=12,
    batch=2,
    population=3,
    requirement='gmac <= 1.0',
    data='none',
)


@cache
def arithmetic(design_text):
    return counted(design_of(yaml.safe_load(design_text), 'a design'), 11, SIZE)


def explorer_of(tmp_path, shared, settings=TINY, name='study'):
    study = open_study(f'sqlite:///{tmp_path / "s.db"}', name, settings)
    return worker.Explorer(study, settings, shared, tmp_path / 'weights'), study

"""EdgeSegNet for ROS 2: camera images in, label images and class masks out.

`edgesegnet_ros.Segmenter` is the Python interface; it is imported when it is first used, since it
needs torch.
"""

import importlib
from pkgutil import extend_path

# The generated messages (edgesegnet_ros.msg) lie in colcon's install folder, not in the checkout.
__path__ = extend_path(__path__, __name__)

__version__ = '0.1.0'

_PUBLIC = {'Segmenter': 'edgesegnet_ros.engines.api'}


def __getattr__(name: str) -> object:
    """Import what is public when it is asked for."""
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

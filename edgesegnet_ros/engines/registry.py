"""The back ends of `request.BACK_ENDS`; a module is imported when its back end is asked for."""

from __future__ import annotations

import importlib

from edgesegnet_ros.engines.base import BackEnd
from edgesegnet_ros.engines.request import BACK_ENDS


def back_end(name: str) -> BackEnd:
    """The back end of that name, a key of `request.BACK_ENDS`."""
    return importlib.import_module(BACK_ENDS[name]).BACK_END

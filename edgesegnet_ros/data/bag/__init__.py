"""Reads and writes bags without a ROS installation: MCAP, SQLite and (read only) ROS 1."""

from .cameras import Camera, Cameras, find_cameras
from .errors import BagError
from .opening import BagProblem
from .reading import BagFrame, BagFrames, read_frames
from .writing import BagWriter, ImageFrame, MessageBag, write_image_bag, write_street_bag

__all__ = [
    'BagError',
    'BagFrame',
    'BagFrames',
    'BagProblem',
    'BagWriter',
    'Camera',
    'Cameras',
    'ImageFrame',
    'MessageBag',
    'find_cameras',
    'read_frames',
    'write_image_bag',
    'write_street_bag',
]

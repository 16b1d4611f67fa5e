"""ROS 2 bags, MCAP and SQLite, written and read without a ROS installation."""

from .errors import BagError
from .reading import BagFrame, BagFrames, read_frames
from .writing import BagWriter, ImageFrame, write_image_bag, write_street_bag

__all__ = [
    'BagError',
    'BagFrame',
    'BagFrames',
    'BagWriter',
    'ImageFrame',
    'read_frames',
    'write_image_bag',
    'write_street_bag',
]

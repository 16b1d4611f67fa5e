"""CameraInfo for the geometry of the outputs."""

from __future__ import annotations

import copy

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from edgesegnet_ros.data.geometry import Placement


def sibling(image_topic: str) -> str:
    """The camera_info topic of an image topic, as image_transport names it."""
    return image_topic.rsplit('/', 1)[0] + '/camera_info'


def for_outputs(
    info: CameraInfo, header: Header, placement: Placement, network: bool
) -> CameraInfo:
    """The intrinsics of the outputs.

    Pixel centres are aligned: x in the image is (x + 0.5) * s - 0.5 + left in the network's input.
    The distortion model is not changed, because it uses normalised coordinates. Binning and region
    of interest, which describe the full sensor, are dropped if the image is resized.

    Args:
        info: CameraInfo of the camera.
        header: Header of the image.
        placement: Placement of the image in the network's input.
        network: Whether the outputs have the size of the network input; if not, that of the image.
    """
    result = copy.copy(info)
    result.header = header
    if not network:
        return result
    result.height, result.width = placement.network
    scale_y = placement.content[0] / placement.source[0]
    scale_x = placement.content[1] / placement.source[1]
    offset_y = 0.5 * scale_y - 0.5 + placement.top
    offset_x = 0.5 * scale_x - 0.5 + placement.left
    k, p = list(info.k), list(info.p)
    for matrix, columns in ((k, 3), (p, 4)):
        bottom = matrix[2 * columns : 3 * columns]
        for column in range(columns):
            matrix[column] = scale_x * matrix[column] + offset_x * bottom[column]
            matrix[columns + column] = (
                scale_y * matrix[columns + column] + offset_y * bottom[column]
            )
    result.k, result.p = k, p
    result.binning_x = result.binning_y = 0
    result.roi = type(info.roi)()
    return result

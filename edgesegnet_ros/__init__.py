"""EdgeSegNet for ROS 2: camera images in, label images and class masks out."""

from pkgutil import extend_path

# The generated messages (edgesegnet_ros.msg) lie in colcon's install folder, not in the checkout.
__path__ = extend_path(__path__, __name__)

__version__ = '0.1.0'

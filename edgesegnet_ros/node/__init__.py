"""The lifecycle node and the other executables; the only package that imports rclpy."""

import os

# OpenCV reads it when it is loaded, and refuses larger images of any format before it allocates
# them; the parameter max_image_pixels is checked before that, for the formats that cameras send.
os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(2**27))

"""Segmenting files without ROS: `edgesegnet predict`."""

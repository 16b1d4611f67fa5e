"""Camera images and masks in the Rerun viewer, from running nodes or from a source without ROS."""

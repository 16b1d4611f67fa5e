"""What the camera sees, in the Rerun viewer: a running node's topics, or a source without ROS."""

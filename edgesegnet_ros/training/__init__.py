"""Training on CamVid and rendered streets."""

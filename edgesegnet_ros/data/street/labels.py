"""Class ids of the objects of the street: the eleven of config/classes/camvid11.yaml."""

from __future__ import annotations

CLASSES = 'camvid11'
"""Name of the class file."""
NUM_CLASSES = 11

(SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST) = range(
    NUM_CLASSES
)

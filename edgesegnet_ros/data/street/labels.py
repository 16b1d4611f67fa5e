"""Class ids of what the street is made of: the eleven of config/classes/camvid11.yaml."""

from __future__ import annotations

(SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST) = range(11)

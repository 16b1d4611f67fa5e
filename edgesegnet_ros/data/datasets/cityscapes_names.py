"""Names of Cityscapes' label values (github.com/mcordts/cityscapesScripts, helpers/labels.py)."""

from __future__ import annotations

_NAMES = (
    'unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground, road, '
    'sidewalk, parking, rail track, building, wall, fence, guard rail, bridge, tunnel, pole, '
    'polegroup, traffic light, traffic sign, vegetation, terrain, sky, person, rider, car, '
    'truck, bus, caravan, trailer, train, motorcycle, bicycle'
).split(', ')
_TRAINED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
BY_ID = dict(enumerate(_NAMES))
"""Name by value of a `labelIds` image."""
BY_TRAIN_ID = {number: _NAMES[value] for number, value in enumerate(_TRAINED)}
"""Name by value of a `labelTrainIds` image; 255 is void."""

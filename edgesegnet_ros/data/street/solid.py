"""Bodies with flat faces, prepared once so that a frame only turns, culls and fills them."""

from __future__ import annotations

import numpy as np


class Solid:
    """A body in its own frame: x to the right, y up, z forward, origin on the ground.

    Faces come in groups: the first of a group is a side of the body, the others lie on it (a
    window, a lamp) and are seen when they face the camera. Groups are drawn by rank, far ones
    first.

    Attributes:
        vertices: (n, 3) metres.
        faces: for each face the indices of its corners.
        normals: (m, 3) unit vectors outwards.
        centres: (m, 3) middles of the faces.
        slots: for each face the position of its colour in a palette.
        gains: for each face a factor on its light.
        fine: for each face whether it is left out far away.
        convex: for each face whether it is convex.
        groups: for each group its faces.
        ranks: for each group its place in the drawing order.
        group_centres: (g, 3) middles of the groups' first faces.
    """

    def __init__(self) -> None:
        self._points: list[np.ndarray] = []
        self.faces: list[np.ndarray] = []
        self._normals: list[np.ndarray] = []
        self._centres: list[np.ndarray] = []
        self.slots: list[int] = []
        self.gains: list[float] = []
        self.fine: list[bool] = []
        self.convex: list[bool] = []
        self.groups: list[list[int]] = []
        self.ranks: list[int] = []

    def add(
        self,
        corners,
        normal,
        slot: int,
        *,
        gain: float = 1.0,
        rank: int | None = None,
        fine: bool = False,
        convex: bool = True,
    ) -> None:
        """Add a face.

        Args:
            corners: (n, 3) metres.
            normal: (3,) outwards, of any length.
            slot: position of its colour in the palette.
            gain: factor on its light.
            rank: drawing order of the group that it opens; None to lie on the group before.
            fine: whether it is left out far away.
            convex: whether it is convex.
        """
        corners, normal = np.asarray(corners, float), np.asarray(normal, float)
        start = sum(map(len, self._points))
        self._points.append(corners)
        self.faces.append(np.arange(start, start + len(corners)))
        self._normals.append(normal / max(np.linalg.norm(normal), 1e-9))
        self._centres.append(corners.mean(0))
        self.slots.append(slot)
        self.gains.append(gain)
        self.fine.append(fine)
        self.convex.append(convex)
        if rank is None:
            self.groups[-1].append(len(self.faces) - 1)
        else:
            self.groups.append([len(self.faces) - 1])
            self.ranks.append(rank)

    def close(self) -> Solid:
        """Prepare the arrays; nothing is added afterwards."""
        self.vertices = np.concatenate(self._points)
        self.normals, self.centres = np.stack(self._normals), np.stack(self._centres)
        self.group_centres = self.centres[[group[0] for group in self.groups]]
        return self

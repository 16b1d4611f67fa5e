"""Errors of bags."""

from __future__ import annotations

from edgesegnet_ros.errors import EdgeSegNetError


class BagError(EdgeSegNetError):
    """A bag that cannot be read or written; the message names it and says what to do."""

"""A rendered street with exact labels: images for the demo, the tests and training."""

from .render import Street, StreetFrame, random_scenes

__all__ = ['Street', 'StreetFrame', 'random_scenes']

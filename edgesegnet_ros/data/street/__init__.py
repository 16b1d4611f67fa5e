"""A rendered street with exact labels: pictures of one's own for demo, tests and training."""

from .render import Street, StreetFrame, random_scenes

__all__ = ['Street', 'StreetFrame', 'random_scenes']

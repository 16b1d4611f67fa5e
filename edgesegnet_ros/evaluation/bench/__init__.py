"""`edgesegnet bench`: networks and engines side by side, and what a Xavier could do."""

from .command import add_arguments, run

__all__ = ['add_arguments', 'run']

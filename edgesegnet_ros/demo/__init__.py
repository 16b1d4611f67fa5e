"""`edgesegnet demo`: starts player, node and collector, and writes figures and an overview."""

from .command import add_arguments, run

__all__ = ['add_arguments', 'run']

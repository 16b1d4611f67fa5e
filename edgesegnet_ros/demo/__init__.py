"""`edgesegnet demo`: player, node and collector as processes, figures and a picture."""

from .command import add_arguments, run

__all__ = ['add_arguments', 'run']

"""The one error that reaches a user."""

from __future__ import annotations


class EdgeSegNetError(Exception):
    """Something a user can mend; its message says what is wrong, where, and what to do.

    Every room derives its own class from this one. The commands print the message and end with
    exit status 2, the node logs it and fails the transition; neither shows a stack trace.
    """

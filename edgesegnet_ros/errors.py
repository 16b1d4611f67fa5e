"""The base class of errors that users can cause."""

from __future__ import annotations


class EdgeSegNetError(Exception):
    """An error that a user can correct; the message says what is wrong, where, and what to do.

    Each package derives its own class from this one. Commands print the message and end with
    exit status 2, the node logs it and fails the transition; neither shows a stack trace.
    """

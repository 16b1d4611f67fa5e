"""A bounded queue between two threads that each can close."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar('T')


class Stopped(Exception):
    """The consumer has stopped."""


class BoundedQueue(Generic[T]):
    """A queue with a limited number of items from one thread to another.

    Args:
        capacity: Items that may wait.
    """

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._closed = self._stopped = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Put an item; blocks while the queue is full.

        Raises:
            Stopped: Nobody takes it any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._capacity or self._stopped)
            if self._stopped:
                raise Stopped
            self._items.append(item)
            self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """End the queue; the consumer raises `error` after the last item."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        """Stop consuming; `put` then raises Stopped."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """The items until `close`; raises its error, if any."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._closed or self._stopped)
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

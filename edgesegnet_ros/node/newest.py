"""A one-slot buffer: the newest item waits, older ones are dropped."""

from __future__ import annotations

import threading
from typing import Generic, Optional, TypeVar

Item = TypeVar('Item')


class NewestSlot(Generic[Item]):
    """Passes items from one thread to another without queueing more than one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Optional[Item] = None
        self._closed = False

    def put(self, item: Item) -> bool:
        """Put an item; returns whether it replaced an older one."""
        with self._changed:
            dropped = self._item is not None
            self._item = item
            self._changed.notify()
            return dropped

    def take(self) -> Optional[Item]:
        """Wait for an item; None once the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    def clear(self) -> bool:
        """Drop the waiting item; returns whether there was one."""
        with self._changed:
            dropped, self._item = self._item is not None, None
            return dropped

    def close(self) -> None:
        """Wake up a waiting thread; from now on `take` returns None."""
        with self._changed:
            self._closed = True
            self._item = None
            self._changed.notify_all()

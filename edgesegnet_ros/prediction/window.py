"""A window that shows the overlays while they are computed."""

from __future__ import annotations

import os
import sys
from typing import Any

import cv2
import numpy as np

from edgesegnet_ros.prediction.results import PredictError

_LARGEST = (720, 1280)


class Window:
    """A Tk window, because OpenCV's headless build has none.

    Args:
        title: Title of the window.

    Raises:
        PredictError: There is no display, or Python has no tkinter.
    """

    def __init__(self, title: str) -> None:
        if sys.platform.startswith('linux') and not os.environ.get('DISPLAY'):
            raise PredictError(
                '--view needs a display, and DISPLAY is not set; leave --view out and look at the '
                'overlays in --out'
            )
        try:
            import tkinter
        except ImportError:
            raise PredictError('--view needs tkinter: sudo apt install python3-tk') from None
        try:
            self._root: Any = tkinter.Tk()
        except tkinter.TclError as error:
            raise PredictError(f'--view cannot open a window ({error})') from None
        self._root.title(title)
        self._root.protocol('WM_DELETE_WINDOW', self._close)
        self._root.bind('<Escape>', lambda _: self._close())
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self._image: Any = None
        self._new_image = tkinter.PhotoImage
        self.closed = False

    def show(self, image: np.ndarray) -> None:
        """Show one image, (H, W, 3) uint8 RGB; larger ones are shrunk to fit a screen."""
        if self.closed:
            return
        height, width = image.shape[:2]
        scale = min(1.0, _LARGEST[0] / height, _LARGEST[1] / width)
        if scale < 1.0:
            size = (round(width * scale), round(height * scale))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        header = f'P6 {image.shape[1]} {image.shape[0]} 255 '.encode()
        # Tk shows an image only as long as somebody holds it.
        self._image = self._new_image(data=header + image.tobytes(), format='PPM')
        self._label.configure(image=self._image)
        self._root.update()

    def _close(self) -> None:
        self.closed = True

    def destroy(self) -> None:
        """Remove the window."""
        self._root.destroy()

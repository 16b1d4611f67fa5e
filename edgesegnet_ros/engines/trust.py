"""Checks that a folder or file of the engine cache can only be written by this user or root.

An engine file is machine code, so one that another user of the machine could have put there is as
good as a program of theirs.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Optional


def why_not_trusted(path: Path, follow: bool = False) -> Optional[str]:
    """Why another user could have written this file or folder; None if none could.

    Args:
        path: It exists.
        follow: Whether a symbolic link is followed, as the user's own choice of a folder is. A
            file in the cache is never a link.

    Raises:
        OSError: It cannot be looked at.
    """
    found = os.stat(str(path)) if follow else os.lstat(str(path))
    if stat.S_ISLNK(found.st_mode):
        return 'it is a symbolic link'
    if found.st_uid not in (os.geteuid(), 0):
        return f'it belongs to the user with the id {found.st_uid}'
    # Many systems give each user a group with the same number, which nobody else belongs to.
    group = found.st_mode & stat.S_IWGRP and found.st_gid != found.st_uid
    if found.st_mode & stat.S_IWOTH or group:
        return f'its mode {stat.S_IMODE(found.st_mode):o} lets other users write it'
    return None

"""The default input of the demo: a rendered street, which is kept as an MCAP bag."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import edgesegnet_ros.data

RATE_HZ = 10.0


def street_clip(folder: Path, seed: int, frames: int) -> Path:
    """The bag of a street, which is rendered if it does not exist yet.

    Args:
        folder: Folder of the clips.
        seed: Seed of the street.
        frames: Number of frames, at ten frames per second.
    """
    clip = folder / f'street-{seed}-{frames}-{_renderer()}'
    if clip.is_dir():
        return clip
    from tqdm import tqdm

    from edgesegnet_ros.data.bag import write_street_bag
    from edgesegnet_ros.data.street import Street

    # Clips of another version of the renderer are not reused.
    for outdated in folder.glob('street-*'):
        if not outdated.name.endswith(_renderer()):
            shutil.rmtree(outdated)
    write_street_bag(
        clip,
        Street(seed),
        frames,
        RATE_HZ,
        progress=lambda numbers: tqdm(numbers, 'drawing a street', unit='frame', disable=None),
    )
    return clip


def _renderer() -> str:
    """A short digest of the code that renders and writes the clip."""
    digest = hashlib.sha256()
    data = Path(edgesegnet_ros.data.__file__).parent
    for file in sorted((*data.glob('street/*.py'), *data.glob('bag/*.py'))):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:8]

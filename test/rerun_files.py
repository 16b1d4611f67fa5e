"""Reads Rerun recordings back."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read(path: Path) -> dict[str, dict[int, np.ndarray]]:
    """Entity -> stamp in ns -> image; entity -> -1 -> what is logged for all times, as a list."""
    import pyarrow
    from rerun.chunk import RrdReader

    found: dict[str, dict] = {}
    for chunk in RrdReader(str(path)).stream():
        batch = chunk.to_record_batch()
        columns = {name: batch.column(name) for name in batch.schema.names}
        stamps = (
            columns['camera_time'].cast(pyarrow.int64()).to_pylist()
            if not chunk.is_static
            else [-1]
        )
        columns = {name: column.to_pylist() for name, column in columns.items() if ':' in name}
        entity = found.setdefault(chunk.entity_path.strip('/'), {})
        kind = next(iter(columns)).partition(':')[0]
        for row, stamp in enumerate(stamps):
            if kind in ('Image', 'SegmentationImage'):
                form = columns[f'{kind}:format'][row][0]
                pixels = np.array(columns[f'{kind}:buffer'][row][0], np.uint8)
                entity[stamp] = pixels.reshape(form['height'], form['width'], -1).squeeze()
            else:
                entity[stamp] = next(iter(columns.values()))[row]
    return found

"""Opens a dataset from a dataset.yaml, or from a folder of a known layout."""

from __future__ import annotations

import os
from pathlib import Path

from edgesegnet_ros.data.camvid import ENVIRONMENT_VARIABLE
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.datasets.dataset import Dataset
from edgesegnet_ros.data.datasets.description import FILE_NAME, Description
from edgesegnet_ros.data.datasets.layouts import list_folder
from edgesegnet_ros.data.datasets.sample import DatasetError

VAL_FRACTION = 0.2


def dataset_path(named: str | Path | None = None) -> Path:
    """The folder or dataset.yaml to use: `named`, or the folder of EDGESEGNET_CAMVID.

    Raises:
        DatasetError: Neither is given, or the path does not exist.
    """
    text = str(named) if named else os.environ.get(ENVIRONMENT_VARIABLE, '')
    if not text:
        raise DatasetError(
            'no dataset: give --data with a folder or a dataset.yaml, or set '
            f'{ENVIRONMENT_VARIABLE} to a CamVid folder'
        )
    path = Path(text).expanduser()
    if not path.exists():
        source = '' if named else f' (from {ENVIRONMENT_VARIABLE})'
        raise DatasetError(f'{path}{source}: no such folder or file')
    return path


def open_dataset(
    named: str | Path | None,
    classes: ClassSet,
    val_fraction: float | None = None,
    seed: int = 0,
) -> Dataset:
    """Find the files of a dataset; images and labels are decoded on demand.

    Args:
        named: A folder of a known layout, a folder with a dataset.yaml, or such a file; if empty,
            the folder of EDGESEGNET_CAMVID.
        classes: Classes of the labels.
        val_fraction: Share that is drawn as val if the dataset has none; None for the value of
            dataset.yaml, or 0.2.
        seed: Seed of that draw, if dataset.yaml has none.

    Raises:
        DatasetError: There is no dataset, or its files do not match.
    """
    path = dataset_path(named)
    if path.is_dir() and not (path / FILE_NAME).is_file():
        listing = list_folder(path)
        return Dataset(path, listing, classes, val_fraction or VAL_FRACTION, seed)
    if path.is_file() and path.suffix.lower() not in ('.yaml', '.yml'):
        raise DatasetError(f'{path}: a dataset is a folder or a .yaml file')
    description = Description(path / FILE_NAME if path.is_dir() else path)
    fraction = val_fraction or description.val_fraction or VAL_FRACTION
    drawn_by = seed if description.seed is None else description.seed
    return Dataset(description.root, description.listing(), classes, fraction, drawn_by)

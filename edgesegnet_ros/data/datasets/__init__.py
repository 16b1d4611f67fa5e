"""Datasets of labelled images on disk, in the layouts of labelling tools."""

from .dataset import Dataset
from .opening import VAL_FRACTION, dataset_path, open_dataset
from .sample import SPLITS, DatasetError, Sample

__all__ = [
    'SPLITS',
    'VAL_FRACTION',
    'Dataset',
    'DatasetError',
    'Sample',
    'dataset_path',
    'open_dataset',
]

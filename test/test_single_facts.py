"""What YAML and documents have to repeat equals the one place in the code that it comes from."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from edgesegnet_ros import shipped
from edgesegnet_ros.data.camvid import CLASSES as SPLIT_CLASSES
from edgesegnet_ros.data.camvid_colors import CLASSES as COLOR_CLASSES
from edgesegnet_ros.data.classes import VOID, load_classes
from edgesegnet_ros.data.street import labels as street
from edgesegnet_ros.network.normalisation import Normalisation, scale_and_shift
from edgesegnet_ros.network.weights import load_weights

ROOT = Path(__file__).resolve().parents[1]
CODE = sorted((ROOT / 'edgesegnet_ros').rglob('*.py'))


def places(value) -> list:
    """Modules that hold this literal."""
    return [
        str(path.relative_to(ROOT / 'edgesegnet_ros'))
        for path in CODE
        if any(
            isinstance(node, ast.Constant)
            and (node.value, type(node.value)) == (value, type(value))
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]


@pytest.mark.parametrize(
    ('value', 'module'),
    [
        (shipped.DEFAULT_MODEL, 'shipped.py'),
        (0.485, 'network/normalisation.py'),
        (0.229, 'network/normalisation.py'),
        (114, 'data/geometry.py'),
    ],
)
def test_a_constant_is_written_in_one_module(value, module):
    assert places(value) == [module]


def test_documents_name_the_default_model_and_classes():
    values = yaml.safe_load((ROOT / 'config/edgesegnet.yaml').read_text())
    values = values['/**']['ros__parameters']
    assert (
        values['model'] == shipped.DEFAULT_MODEL and values['classes'] == shipped.DEFAULT_CLASSES
    )
    table = (ROOT / 'docs/node.md').read_text()
    for name, value in (('model', values['model']), ('classes', values['classes'])):
        assert re.search(rf'^\| `{name}` \| `{re.escape(value)}` \|', table, re.MULTILINE)


def test_the_class_files_have_the_number_of_classes_that_the_code_counts_on():
    assert street.NUM_CLASSES == SPLIT_CLASSES == len(load_classes(street.CLASSES).classes)
    assert len(load_classes('camvid32').classes) == COLOR_CLASSES
    names = load_classes(street.CLASSES).names
    assert [getattr(street, name.upper()) for name in names] == list(range(street.NUM_CLASSES))


def test_the_shipped_weights_fit_the_defaults():
    _, info = load_weights(shipped.find('models', shipped.DEFAULT_MODEL))
    assert info.classes == shipped.DEFAULT_CLASSES
    assert info.num_classes == len(load_classes(shipped.DEFAULT_CLASSES).classes)


def test_normalisation_is_the_papers_formula_for_every_byte():
    mean, std = (0.5, 0.25, 0.125), (0.25, 0.2, 0.3)
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    got = Normalisation(mean, std)(levels)
    for channel in range(3):
        expected = (np.arange(256) / 255.0 - mean[channel]) / std[channel]
        np.testing.assert_allclose(got[0, channel].ravel(), expected, atol=1e-6)
    scale, shift = scale_and_shift(mean, std)
    assert scale.dtype == shift.dtype == np.float32 and scale.shape == (3,)
    assert VOID == 255

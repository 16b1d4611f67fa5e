"""Weights that know their classes: fine-tuning to other classes, and who refuses to mix."""

from __future__ import annotations

import logging
import shlex
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from test_training import CONFIG, one_thread, small_camvid  # noqa: F401 - fixtures

from edgesegnet_ros import cli
from edgesegnet_ros.data.classes import ClassFileError, class_set_of, load_classes
from edgesegnet_ros.data.datasets import open_dataset
from edgesegnet_ros.engines.recipe import recipe_for
from edgesegnet_ros.engines.request import EngineError, EngineRequest
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import (
    WeightsInfo,
    load_weights,
    save_weights,
    store_temperature,
)
from edgesegnet_ros.training import train as training
from edgesegnet_ros.training.checkpoint import CheckpointError
from edgesegnet_ros.training.distillation import open_teacher
from edgesegnet_ros.training.initial import InitialWeightsError, read_initial

FIELD = """
name: field
classes:
  - {id: 0, name: crop, color: [0, 200, 0]}
  - {id: 1, name: road, color: [128, 64, 128]}
  - {id: 2, name: sky, color: [128, 128, 128]}
groups:
  drivable: [road]
"""
CAMVID = load_classes('camvid11')


@pytest.fixture(scope='module')
def field(tmp_path_factory):
    """A class file of three classes, two of which are CamVid's, and images of them."""
    folder = tmp_path_factory.mktemp('field')
    (folder / 'field.yaml').write_text(FIELD)
    random = np.random.default_rng(0)
    for split, count in (('train', 4), ('val', 2)):
        for part in (split, split + 'annot'):
            (folder / 'data' / part).mkdir(parents=True)
        for index in range(count):
            labels = np.repeat(np.repeat(random.integers(0, 3, (4, 4)), 16, 0), 16, 1)
            image = labels[..., None] * 90 + random.integers(0, 40, (64, 64, 3))
            cv2.imwrite(str(folder / 'data' / split / f'{index}.png'), image.astype(np.uint8))
            labels = labels.astype(np.uint8)
            cv2.imwrite(str(folder / 'data' / f'{split}annot' / f'{index}.png'), labels)
    return folder


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    """CamVid weights of before files held a class set, with a normalisation of their own."""
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp('given') / 'given.safetensors'
    info = WeightsInfo('camvid11', 11, (64, 64), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    save_weights(path, build_network('edgesegnet', 11), info)
    return path


@pytest.fixture(scope='module')
def trained(field, given, tmp_path_factory):
    """A fine-tuned run by the command, and what it printed."""
    out = tmp_path_factory.mktemp('tuned')
    words = f"""train --data {field / 'data'} --classes {field / 'field.yaml'} --init {given}
        --out {out} --epochs 1 --batch 2 --input-size 64x64 --crop 64x64 --device cpu
        --precision fp32 --freeze-body-epochs 1 --learning-rate 0.01"""
    assert cli.main(words.split()) == 0
    return out


def test_rows_of_the_head_are_kept_by_the_name_of_their_class(field, given):
    classes = load_classes(str(field / 'field.yaml'))
    initial = read_initial(str(given), 'edgesegnet', classes)
    assert initial.kept == ('road', 'sky') and initial.drawn == ('crop',)
    assert len(initial.left) == 9 and initial.info.mean == (0.4, 0.5, 0.6)
    source, own = load_weights(given)[0].state_dict(), initial.network.state_dict()
    for name in ('head.weight', 'head.bias'):
        for row, of in ((1, CAMVID.names.index('road')), (2, CAMVID.names.index('sky'))):
            assert torch.equal(own[name][row], source[name][of])
    assert all(torch.equal(own[n], v) for n, v in source.items() if not n.startswith('head.'))
    table = initial.table('x')
    assert 'classes kept        2: road, sky' in table and 'new classes         1: crop' in table


def test_the_weights_know_their_classes_and_the_printed_command_works(
    field, given, trained, capfd, caplog, monkeypatch
):
    _, info = load_weights(trained / training.WEIGHTS)
    assert info.mean == (0.4, 0.5, 0.6) and info.std == (0.2, 0.3, 0.4)
    classes = class_set_of(info.class_set, 'x')
    assert classes == load_classes(str(field / 'field.yaml'))
    frozen = load_weights(given)[0].state_dict()
    moved = load_weights(trained / training.WEIGHTS)[0].state_dict()
    torch.testing.assert_close(moved['stem.weight'], frozen['stem.weight'], atol=1e-3, rtol=0)
    assert moved['head.weight'].shape[0] == 3

    recipe = recipe_for(EngineRequest(str(trained / training.WEIGHTS), input_size=(0, 0)))
    assert recipe.classes == classes and recipe.input_size == (64, 64)
    with pytest.raises(EngineError, match='camvid32 has 32 classes'):
        recipe_for(EngineRequest(str(trained / training.WEIGHTS), 'camvid32'))

    # The same command again does nothing and says so; so it does with another setting.
    capfd.readouterr()
    words = f"""train --data {field / 'data'} --classes {field / 'field.yaml'} --init {given}
        --out {trained} --epochs 1 --batch 2 --input-size 64x64 --crop 64x64 --device cpu"""
    before = (trained / training.WEIGHTS).read_bytes()
    assert cli.main([*words.split(), '--seed', '7']) == 0
    said = capfd.readouterr()
    assert 'already finished' in said.out and 'seed 7 (was 1)' in caplog.text
    assert (trained / training.WEIGHTS).read_bytes() == before

    # Two epochs are one more, and what is printed at the end works as printed.
    assert cli.main([*words.split(), '--epochs', '2']) == 0
    command = capfd.readouterr().out.splitlines()[-1].strip()
    assert command.startswith('edgesegnet evaluate')
    monkeypatch.chdir(trained)
    assert cli.main([*shlex.split(command)[1:], '--device', 'cpu', '--engine', 'torch']) == 0
    assert 'crop' in capfd.readouterr().out


def test_classes_of_other_names_are_a_contradiction(field, trained, tmp_path):
    other = tmp_path / 'other.yaml'
    other.write_text(FIELD.replace('name: crop', 'name: weed'))
    with pytest.raises(EngineError, match='names weed, road, sky, but .* was trained for field'):
        recipe_for(EngineRequest(str(trained / training.WEIGHTS), str(other)))
    colored = tmp_path / 'colored.yaml'
    colored.write_text(FIELD.replace('[0, 200, 0]', '[1, 2, 3]'))
    recipe = recipe_for(EngineRequest(str(trained / training.WEIGHTS), str(colored)))
    assert recipe.classes.classes[0].color == (1, 2, 3)
    store_temperature(trained / training.WEIGHTS, 1.5)
    _, info = load_weights(trained / training.WEIGHTS)
    assert info.temperature == 1.5 and class_set_of(info.class_set, 'x').name == 'field'
    with pytest.raises(ClassFileError, match='x: the class set that it holds cannot'):
        class_set_of({'name': 'a'}, 'x')


def test_a_run_is_not_resumed_on_other_data_or_classes(field, trained, tmp_path, small_camvid):  # noqa: F811
    classes = load_classes(str(field / 'field.yaml'))
    config = replace(CONFIG, epochs=5)
    dataset = open_dataset(field / 'data', classes)

    def resume(data, classes):
        sources = training.Sources(data, classes)
        return training.train(config, sources, trained, 'cpu', tensorboard=False)

    renamed = tmp_path / 'renamed.yaml'
    renamed.write_text(FIELD.replace('name: crop', 'name: weed'))
    with pytest.raises(CheckpointError, match='trained on the classes crop, road, sky, and weed'):
        resume(dataset, load_classes(str(renamed)))
    image = field / 'data' / 'train' / '0.png'
    pixels = image.read_bytes()
    try:
        cv2.imwrite(str(image), cv2.flip(cv2.imread(str(image)), 1))
        with pytest.raises(CheckpointError, match='a train split whose images or labels have'):
            resume(dataset, classes)
    finally:
        image.write_bytes(pixels)
    with pytest.raises(CheckpointError, match='trained on the classes crop'):
        resume(open_dataset(small_camvid, CAMVID), CAMVID)


def test_streets_are_rendered_only_for_their_own_classes(field, caplog):
    from edgesegnet_ros.training.run_setup import without_streets

    config = replace(CONFIG, rendered=3)
    with caplog.at_level(logging.INFO):
        assert without_streets(config, load_classes(str(field / 'field.yaml'))).rendered == 0
        assert 'rendered streets are left out' in caplog.text
    assert without_streets(config, CAMVID).rendered == 3


def test_a_teacher_of_another_order_is_put_in_order(given, tmp_path):
    turned = CAMVID._replace(
        name='turned',
        classes=tuple(
            one._replace(id=index) for index, one in enumerate(reversed(CAMVID.classes))
        ),
        groups={},
    )
    config = replace(CONFIG, distillation=0.5)
    device = torch.device('cpu')
    images, labels = torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(1, 64, 64)
    plain, ordered = (
        open_teacher(config, (str(given),), classes, device)
        .distillation_batch(images, labels)
        .logits
        for classes in (CAMVID, turned)
    )
    torch.testing.assert_close(ordered.flip(1), plain)
    other = turned._replace(classes=(turned.classes[0]._replace(name='Moon'), *turned.classes[1:]))
    with pytest.raises(InitialWeightsError, match='but not Moon of turned'):
        open_teacher(config, (str(given),), other, device)

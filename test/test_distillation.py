"""A student gets a part of what its teacher sees, and the teacher's logits of that part."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, save_weights
from edgesegnet_ros.training.config import ConfigError, TrainConfig
from edgesegnet_ros.training.distillation import DistillationError, Teacher, open_teacher
from edgesegnet_ros.training.initial import InitialWeightsError
from edgesegnet_ros.training.loss import distance_to_teacher
from edgesegnet_ros.training.normalised import NormalisedNetwork

CPU = torch.device('cpu')
CLASSES = load_classes('camvid11')


class Means(nn.Module):
    """A network whose logits are the means of what they stand for, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        return self.factor * F.avg_pool2d(image, HEAD_STRIDE)


@pytest.fixture
def views():
    """Two whose every pixel and label tells its place."""
    rows, columns = torch.arange(48).reshape(48, 1), torch.arange(64)
    position = (4 * rows + columns).expand(2, 3, 48, 64) % 251
    return position.to(torch.uint8), position[:, 0].to(torch.uint8)


def test_a_lesson_is_one_part_of_images_labels_and_logits(views):
    teacher = Teacher([NormalisedNetwork(Means(n)) for n in (1.0, 3.0)], (32, 16), CPU)
    means, corners = NormalisedNetwork(Means(2.0)), set()
    for seed in range(40):
        torch.manual_seed(seed)
        images, labels, logits = teacher.distillation_batch(*views)
        assert images.shape == (2, 3, 32, 16) and labels.shape == (2, 32, 16)
        torch.testing.assert_close(images[:, 0], labels)
        torch.testing.assert_close(logits, means(images))
        corners.add((int(labels[0, 0, 0]) // 4, int(labels[0, 0, 0]) % 4))
    assert len(corners) > 20  # parts of the whole view, not of its middle


def test_a_teacher_without_a_margin_and_its_student_see_the_same(views):
    images, labels, logits = Teacher(
        [NormalisedNetwork(Means(1.0))], (48, 64), CPU
    ).distillation_batch(*views)
    assert torch.equal(images, views[0]) and torch.equal(labels, views[1])
    assert logits.shape == (2, 3, 12, 16)


def test_views_have_the_margin_where_there_is_a_teacher():
    crop = (64, 96)
    assert TrainConfig(crop=crop, teacher_margin=32).view == crop
    assert TrainConfig(crop=crop, teacher_margin=32, distillation=0.5).view == (96, 128)
    with pytest.raises(ConfigError, match='teacher_margin 20 must be a multiple of 16'):
        TrainConfig(teacher_margin=20)


def test_a_teacher_and_a_distillation_want_each_other(tmp_path):
    path = str(tmp_path / 'w.safetensors')
    save_weights(path, build_network('edgesegnet', 11), WeightsInfo('camvid11', 11, (64, 64)))
    taught = TrainConfig(distillation=0.5)
    assert open_teacher(TrainConfig(), (), CLASSES, CPU) is None
    assert isinstance(open_teacher(taught, (path,), CLASSES, CPU), Teacher)
    with pytest.raises(DistillationError, match='needs the weights of a teacher: give --teacher'):
        open_teacher(taught, (), CLASSES, CPU)
    with pytest.raises(DistillationError, match='nothing is learned from it: give --distillation'):
        open_teacher(TrainConfig(), (path,), CLASSES, CPU)
    with pytest.raises(InitialWeightsError, match='11 outputs'):
        open_teacher(taught, (path,), load_classes('camvid32'), CPU)


def test_the_teacher_counts_where_pixels_are_labelled():
    torch.manual_seed(0)
    own, teacher = torch.randn(1, 3, 2, 2), torch.randn(1, 3, 2, 2)
    labels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    labels[:, :4] = 255
    total, weight = distance_to_teacher(own, teacher, labels, 2.0)
    p, q = (F.softmax(logits[:, :, 1] / 2.0, 1) for logits in (teacher, own))
    expected = 4.0 * (p * (p / q).log()).sum()
    assert weight == 2
    torch.testing.assert_close(total, expected)
    assert distance_to_teacher(own, own, labels, 2.0).total.abs() < 1e-6

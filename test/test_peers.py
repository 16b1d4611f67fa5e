"""The peers are the networks of their papers, by size and cost."""

from __future__ import annotations

import pytest
import torch

from edgesegnet_ros.evaluation.peers.bisenet_v2 import BiSeNetV2
from edgesegnet_ros.evaluation.peers.ddrnet import DDRNet23Slim
from edgesegnet_ros.evaluation.peers.enet import ENet
from edgesegnet_ros.evaluation.peers.erfnet import ERFNet
from edgesegnet_ros.evaluation.peers.fast_scnn import FastSCNN
from edgesegnet_ros.evaluation.peers.pidnet import PIDNetS
from edgesegnet_ros.evaluation.peers.segformer import SegFormerB0
from edgesegnet_ros.network.cost import gmac, parameters

# Class, parameters at 19 classes, millions that its paper gives (None: gives none), and 10^9
# multiply-accumulates that it gives for 1024x2048 (None: counted otherwise, or not at all).
# Four counts are exactly those of the code that the comment names, without auxiliary heads;
# ERFNet's code has 2,451 more, an output of its encoder that is used in pre-training alone.
PEERS = [
    (ENet, 363_599, 0.37, None),  # arXiv 1606.02147, Table III
    (ERFNet, 2_064_191, None, None),  # github.com/Eromera/erfnet_pytorch: 2,066,642
    (FastSCNN, 1_138_051, 1.11, None),  # arXiv 1902.04502; github.com/Tramac/Fast-SCNN-pytorch
    (BiSeNetV2, 3_358_627, None, None),  # github.com/CoinCheung/BiSeNet
    (DDRNet23Slim, 5_695_987, 5.7, 36.3),  # arXiv 2101.06085; github.com/ydhongHIT/DDRNet
    (PIDNetS, 7_625_715, 7.6, 47.6),  # arXiv 2206.02066; github.com/XuJiacong/PIDNet
    (SegFormerB0, 3_719_027, 3.8, None),  # arXiv 2105.15203, Table 1, at 150 classes
]
_IDS = [peer[0].__name__ for peer in PEERS]


@pytest.mark.parametrize(('build', 'count', 'published', 'cost'), PEERS, ids=_IDS)
def test_size_and_cost_are_the_published_ones(build, count, published, cost):
    if build is SegFormerB0:
        pytest.importorskip('transformers', reason='SKIPPED FOR WANT OF transformers')
    network = build(19).eval()
    assert parameters(network) == count
    assert published is None or count / 1e6 == pytest.approx(published, rel=0.03)
    with torch.inference_mode():
        logits = network(torch.rand(1, 3, 64, 96))
    assert logits.shape == (1, 19, 64, 96) and torch.isfinite(logits).all()
    if cost is not None:
        # Fully convolutional but for the pooled contexts, which are a thousandth of it.
        scaled = gmac(network, (256, 512)) * 16
        assert scaled == pytest.approx(cost, rel=0.02)


def test_enet_unpools_as_torch_does():
    from torch.nn import functional as F  # noqa: N812

    from edgesegnet_ros.evaluation.peers.enet import _unpooled

    pooled, indices = F.max_pool2d(torch.rand(2, 3, 8, 12), 2, return_indices=True)
    assert torch.equal(_unpooled(pooled, indices), F.max_unpool2d(pooled, indices, 2))

"""The warning of lost images names the cause and the file that mends it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgesegnet_ros import shipped
from edgesegnet_ros.node import qos


@pytest.fixture
def said(monkeypatch):
    """What is warned of, and the callback of lost messages."""
    for name in (*shipped.FAST_DDS_VARIABLES, 'RMW_IMPLEMENTATION'):
        monkeypatch.delenv(name, raising=False)
    warnings = []
    events = qos.subscription_events('/front/image', warnings.append)
    return warnings, lambda count: events.message_lost(SimpleNamespace(total_count=count))


def test_without_the_profiles_they_are_named(said):
    warnings, lose = said
    lose(3)
    (sentence,) = warnings
    assert sentence.startswith('3 messages on /front/image were lost between processes')
    assert 'set FASTDDS_DEFAULT_PROFILES_FILE (FASTRTPS_' in sentence
    assert '/config/fastdds.xml for the camera, this node' in sentence


def test_with_them_or_another_middleware_the_cause_is_another(said, monkeypatch):
    warnings, lose = said
    monkeypatch.setenv(shipped.FAST_DDS_VARIABLES[1], '/some.xml')
    lose(1)
    monkeypatch.delenv(shipped.FAST_DDS_VARIABLES[1])
    monkeypatch.setenv('RMW_IMPLEMENTATION', 'rmw_cyclonedds_cpp')
    lose(2)
    assert len(warnings) == 2
    assert not any('DEFAULT_PROFILES_FILE' in sentence for sentence in warnings)


def test_a_lasting_loss_does_not_fill_the_log(said):
    warnings, lose = said
    for count in range(1, 1001):
        lose(count)
    assert len(warnings) == 10

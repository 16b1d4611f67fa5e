"""The SROS 2 policy against what the node really has: nothing missing, nothing too much."""

from __future__ import annotations

from fnmatch import fnmatchcase
from xml.etree import ElementTree

from harness import ACTIVATE, CONFIGURE

from edgesegnet_ros import shipped

ONLY_SOMETIMES = {
    'image/compressed',  # with image_transport: compressed
    '/clock',  # with use_sim_time: true
    '~/get_type_description',  # not on Humble
}


def policy(kind: str, right: str) -> set[str]:
    """The policy's expressions, such as those of `topic` with the right `publish`."""
    root = ElementTree.parse(shipped.find('security', 'edgesegnet.policy')).getroot()
    (profile,) = root.iter('profile')
    lists = [entry for entry in profile.iter(f'{kind}s') if entry.get(right) == 'ALLOW']
    return {one.text for entry in lists for one in entry.iter(kind)}


def relative(name: str, namespace: str) -> str:
    """A full name as the policy writes it."""
    for prefix, replacement in ((f'{namespace}/edgesegnet/', '~/'), (f'{namespace}/', '')):
        if name.startswith(prefix):
            return replacement + name[len(prefix) :]
    return name


def test_the_policy_allows_exactly_what_the_node_uses(launch):
    client = launch({'input_size': '[64,64]'})
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    here = client.target.namespace
    expected = policy('topic', 'publish')

    def names(of) -> set[str]:
        return {relative(name, here) for name, _ in of('edgesegnet', here)}

    node = client.node
    client.wait(
        lambda: 'segmentation/mask' in names(node.get_publisher_names_and_types_by_node),
        'the publishers to be discovered',
    )
    client.wait(
        lambda: 'image' in names(node.get_subscriber_names_and_types_by_node),
        'the subscriptions to be discovered',
    )
    for used, allowed in (
        (names(node.get_publisher_names_and_types_by_node), expected),
        (names(node.get_subscriber_names_and_types_by_node), policy('topic', 'subscribe')),
        (names(node.get_service_names_and_types_by_node), policy('service', 'reply')),
    ):
        missing = {
            name for name in used if not any(fnmatchcase(name, pattern) for pattern in allowed)
        }
        too_much = {
            pattern
            for pattern in allowed - ONLY_SOMETIMES
            if not any(fnmatchcase(name, pattern) for name in used)
        }
        assert (missing, too_much) == (set(), set())
    assert not names(node.get_client_names_and_types_by_node)

"""Compares the outputs of the node with the parameters of Nav2's semantic_segmentation_layer.

The layer (github.com/kiwicampus/semantic_segmentation_layer) reads the mask and an organised point
cloud of the same size pixel by pixel, gets the cost of each class by the names in LabelInfo, and
uses cost 0 for unknown classes. It does not check any of these assumptions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Generator, Iterator, List, NamedTuple, Tuple

import yaml

from edgesegnet_ros.doctor.finding import ERROR, OK, WARNING, Finding
from edgesegnet_ros.errors import EdgeSegNetError

PLUGIN = 'semantic_segmentation_layer::SemanticSegmentationLayer'
TOPICS = {
    'segmentation_topic': 'mask',
    'confidence_topic': 'confidence',
    'labels_topic': 'labels',
    'pointcloud_topic': 'cloud',
}
"""Parameters of the layer that name topics, and their kinds in `graph_snapshot`."""
_REQUIRED = ('segmentation_topic', 'labels_topic', 'pointcloud_topic')
_UNLABELLED = 255


class ParametersError(EdgeSegNetError):
    """The parameter file cannot be read, or has no such layer."""


class Source(NamedTuple):
    """One observation source of one layer.

    Attributes:
        title: Path of its keys in the file.
        parameters: Its parameters in the file.
    """

    title: str
    parameters: Dict[str, Any]

    @property
    def class_names(self) -> List[str]:
        """Names of all classes of all class types."""
        return [name for kind in self.class_types for name in _classes_of(self, kind)]

    @property
    def class_types(self) -> List[str]:
        """Names of its class types."""
        kinds = self.parameters.get('class_types', [])
        return [str(kind) for kind in kinds] if isinstance(kinds, list) else []

    def watched(self) -> List[Tuple[str, str]]:
        """(kind, topic) pairs for `graph_snapshot`; relative names cannot be resolved here."""
        return [
            (kind, topic)
            for name, kind in TOPICS.items()
            for topic in [str(self.parameters.get(name, ''))]
            if topic.startswith('/')
        ]


def _classes_of(source: Source, kind: str) -> List[str]:
    entry = source.parameters.get(kind)
    names = entry.get('classes', []) if isinstance(entry, dict) else []
    return [str(name) for name in names] if isinstance(names, list) else []


def read_sources(path: Path) -> List[Source]:
    """Read all observation sources of these layers in a Nav2 parameter file.

    Raises:
        ParametersError: The file is missing, is not YAML, or has no such layer.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ParametersError(f'{path}: cannot be read ({error.strerror})') from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParametersError(f'{path}: is not valid YAML: {error}') from None
    sources = list(_find(content, ''))
    if not sources:
        raise ParametersError(
            f'{path}: no costmap in it has a plugin of type {PLUGIN}; merge config/'
            'nav2_costmap.yaml of this package into it'
        )
    return sources


def _find(content: Any, key_path: str) -> Iterator[Source]:
    if not isinstance(content, dict):
        return
    if content.get('plugin') == PLUGIN:
        for name in str(content.get('observation_sources', '')).split():
            entry = content.get(name)
            yield Source(f'{key_path}.{name}', entry if isinstance(entry, dict) else {})
        return
    for key, value in content.items():
        yield from _find(value, f'{key_path}.{key}' if key_path else str(key))


def findings(document: Dict[str, Any], sources: List[Source]) -> Iterator[Finding]:
    """Check the outputs of the node against each source.

    Args:
        document: Document of `graph_snapshot`, taken while the topics of the sources were watched.
        sources: Sources of `read_sources`.
    """
    for source in sources:
        complete = yield from _named_topics(source)
        if complete:
            yield from _labels(document, source)
            yield from _mask(document, source)
            yield from _confidence(document, source)


def _named_topics(source: Source) -> Generator[Finding, None, bool]:
    """Check that each topic has an absolute name; returns whether the rest can be checked."""
    complete = True
    for name in TOPICS:
        topic = source.parameters.get(name)
        subject = f'{source.title}.{name}'
        if not topic:
            complete = complete and name not in _REQUIRED
            example = f'/segmentation/{TOPICS[name]}'.replace('labels', 'label_info')
            if name == 'pointcloud_topic':
                example = '/camera/depth/points'
            yield Finding(
                ERROR if name in _REQUIRED else WARNING,
                subject,
                'is missing',
                f'Add under {source.title}:\n{name}: {example}',
            )
        elif not str(topic).startswith('/'):
            complete = complete and name not in _REQUIRED
            yield Finding(
                ERROR,
                subject,
                f'{topic} is relative, and the layer resolves it in the namespace of the costmap',
                f'Write {name}: /{topic}',
            )
    return complete


def _sample(document: Dict[str, Any], source: Source, name: str) -> Dict[str, Any]:
    topic = source.parameters.get(name, '')
    return {'topic': topic, 'received': 0, **document['samples'].get(topic, {})}


def _labels(document: Dict[str, Any], source: Source) -> Iterator[Finding]:
    subject = f'{source.title} classes'
    labels = _sample(document, source, 'labels_topic')
    ends = document['endpoints'].get(labels['topic'], {'publishers': []})
    latched = [one for one in ends['publishers'] if one['durability'] == 'transient_local']
    if ends['publishers'] and not latched:
        yield Finding(
            ERROR,
            f'{source.title}.labels_topic',
            f'{labels["topic"]} is not latched (transient local), so that a layer that starts '
            'later never learns the names of the classes',
            'Remove qos_overrides of segmentation/label_info from the parameters of the node.',
        )
    if not labels['received']:
        yield Finding(
            ERROR,
            f'{source.title}.labels_topic',
            f'no LabelInfo arrived on {labels["topic"]}, without which the layer drops every mask',
            'Configure the node (it publishes label_info from configure on), and compare the '
            'names: ros2 topic info -v ' + str(labels['topic']),
        )
        return
    published = labels['classes']
    unknown = [name for name in source.class_names if name not in published]
    if unknown:
        yield Finding(
            ERROR,
            subject,
            f'{", ".join(unknown)} are not classes of the node, which has {", ".join(published)}',
            'Correct the names in the lists `classes` of the layer.',
        )
    missing = [name for name in published if name not in source.class_names]
    if missing:
        yield Finding(
            WARNING,
            subject,
            f'{", ".join(missing)} belong to no class type, and the layer takes an unknown class '
            'as cost 0, which can hide an obstacle in the same tile',
            f'Name each class in a class type of {source.title}; for example:\n'
            f'class_types: [{", ".join([*source.class_types, "other"])}]\n'
            'other:\n'
            f'  classes: [{", ".join(missing)}]\n'
            '  base_cost: 100\n  max_cost: 100\n  mark_confidence: 0\n'
            '  samples_to_max_cost: 0\n  dominant_priority: false',
        )
    if not unknown and not missing:
        yield Finding(OK, subject, f'all {len(published)} classes of the node have a cost')


def _mask(document: Dict[str, Any], source: Source) -> Iterator[Finding]:
    mask = _sample(document, source, 'segmentation_topic')
    cloud = _sample(document, source, 'pointcloud_topic')
    subject = f'{source.title}.segmentation_topic'
    if not mask['received']:
        yield Finding(
            ERROR,
            subject,
            f'no mask arrived on {mask["topic"]}',
            'Check that the node is active and that the names agree: ros2 topic info -v '
            + str(mask['topic']),
        )
        return
    problems = []
    if mask.get('encoding') != 'mono8':
        problems.append(f'its encoding is {mask.get("encoding")}, not mono8')
    if mask.get('step') != mask.get('width'):
        problems.append(f'its step is {mask.get("step")} for a width of {mask.get("width")}')
    if mask.get('bytes') != mask.get('step', 0) * mask.get('height', 0):
        problems.append(f'it has {mask.get("bytes")} bytes')
    size = f'{mask.get("width")}x{mask.get("height")}'
    if problems:
        yield Finding(
            ERROR,
            subject,
            f'{mask["topic"]}: {"; ".join(problems)}',
            "Name the node's segmentation/mask here; color and overlay are for people.",
        )
    if not cloud['received']:
        yield Finding(
            ERROR,
            f'{source.title}.pointcloud_topic',
            f'no point cloud arrived on {cloud["topic"]}',
            'Start the depth camera, and let it publish an organised cloud aligned to colour.',
        )
        return
    if (cloud.get('width'), cloud.get('height')) != (mask.get('width'), mask.get('height')):
        yield Finding(
            ERROR,
            subject,
            f'the mask is {size}, but the point cloud {cloud.get("width")}x{cloud.get("height")}; '
            'the layer indexes both alike and would read beyond the smaller one',
            'Publish the cloud at the size of the image that the node segments, and keep '
            'output_resolution: input.',
        )
    elif not problems:
        yield Finding(OK, subject, f'{size} mono8, as large as the point cloud')
    common = set(mask['stamps']) & set(cloud['stamps'])
    if not common:
        yield Finding(
            WARNING,
            f'{source.title} stamps',
            'no mask has the stamp of a point cloud; the layer then pairs what is at most 0.1 s '
            'apart, or nothing with use_approximate_time_sync: false',
            'Let the depth camera stamp cloud and image alike, and feed the node the image that '
            'the cloud is aligned to.',
        )
    else:
        yield Finding(
            OK, f'{source.title} stamps', f'{len(common)} masks have the stamp of a point cloud'
        )


def _confidence(document: Dict[str, Any], source: Source) -> Iterator[Finding]:
    if not source.parameters.get('confidence_topic'):
        return
    confidence = _sample(document, source, 'confidence_topic')
    mask = _sample(document, source, 'segmentation_topic')
    subject = f'{source.title}.confidence_topic'
    if not confidence['received']:
        yield Finding(
            ERROR,
            subject,
            f'nothing arrived on {confidence["topic"]}, without which the layer pairs nothing',
            f"Name the node's segmentation/confidence there, or remove {subject}.",
        )
        return
    compared = [
        sum(numbers)
        for numbers in zip(confidence.get('compared', [0, 0]), mask.get('compared', [0, 0]))
    ]
    if compared[1]:
        yield Finding(
            ERROR,
            subject,
            f'{compared[1]} pixels are unlabelled ({_UNLABELLED}) and have a confidence above 0',
            'Both topics must come from the same node: compare their publishers with '
            'ros2 topic info -v.',
        )
    else:
        yield Finding(
            OK,
            subject,
            f'confidence is 0 on unlabelled pixels ({compared[0]} masks compared)',
        )

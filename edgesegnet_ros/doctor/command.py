"""`edgesegnet doctor`: checks machine, installation and graph, and prints what to do."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from edgesegnet_ros.arguments import output_file
from edgesegnet_ros.atomic_file import write_json
from edgesegnet_ros.doctor.finding import ERROR, OK, WARNING, Finding, worst
from edgesegnet_ros.engines.request import ENGINES, PRECISIONS, EngineRequest
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.extras import missing_requirement


class DoctorError(EdgeSegNetError):
    """The arguments of the command are invalid."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    defaults = EngineRequest()
    add = parser.add_argument
    add(
        '--node',
        help='fully qualified name of the node to check; by default all nodes that report',
    )
    add(
        '--nav2-params',
        type=Path,
        metavar='FILE',
        help='parameter file of Nav2: also check the node against its semantic_segmentation_layer',
    )
    add('--seconds', type=float, default=5.0, help='how long the graph is observed')
    add('--no-graph', action='store_true', help='check only machine and installation')
    add('--model', default=defaults.model, help='shipped name or file that the node will load')
    add('--classes', default=defaults.classes, help='shipped name or file of its classes')
    add('--engine', default='auto', choices=ENGINES, help='engine that the node will use')
    add('--precision', default='auto', choices=PRECISIONS, help='number format of the engine')
    add('--device', default='auto', help='auto, cpu, cuda, cuda:N or dla:N')
    add('--engine-cache', metavar='DIR', default='', help='folder of built engines')
    add('--json', type=output_file, metavar='FILE', help='also write the findings to this file')


def run(args: argparse.Namespace) -> int:
    """Print the findings; returns 0 if the node can work, 1 if it cannot, 2 for a usage error."""
    from edgesegnet_ros.doctor import graph, machine, nav2_layer

    if args.seconds <= 0:
        raise DoctorError(f'--seconds {args.seconds:g}: must be above 0')
    if args.nav2_params and args.no_graph:
        raise DoctorError('--nav2-params checks a running node; leave out --no-graph')
    sources = nav2_layer.read_sources(args.nav2_params) if args.nav2_params else []
    node = None if args.node is None else '/' + args.node.lstrip('/')
    request = EngineRequest(
        model=args.model,
        classes=args.classes,
        engine=args.engine,
        precision=args.precision,
        device=args.device,
        engine_cache=args.engine_cache,
    )
    found: List[Finding] = []
    found += _print('Machine', list(machine.findings()))
    found += _print('Installation', _installation(request))
    if not args.no_graph:
        watched = [pair for source in sources for pair in source.watched()]
        document = _snapshot(node, watched, args.seconds)
        if isinstance(document, Finding):
            found += _print('Graph', [document])
        else:
            found += _print('Graph', list(graph.findings(document, node)))
            if sources:
                found += _print('Nav2 layer', list(nav2_layer.findings(document, sources)))
    counts = {level: sum(one.level == level for one in found) for level in (ERROR, WARNING)}
    level = worst(found)
    print(
        {
            OK: 'The node can work; no problem was found.',
            WARNING: f'The node can work; {counts[WARNING]} warning(s) above.',
            ERROR: f'The node cannot work: {counts[ERROR]} problem(s) above.',
        }[level]
    )
    if args.json is not None:
        content = {'level': level, 'findings': [one._asdict() for one in found]}
        write_json(args.json, content)
    return 1 if level == ERROR else 0


def _print(title: str, found: List[Finding]) -> List[Finding]:
    print(title)
    for one in found:
        print('  ' + one.text().replace('\n', '\n  '))
    return found


def _installation(request: EngineRequest) -> List[Finding]:
    try:
        from edgesegnet_ros.doctor import installation

        return list(installation.findings(request))
    except ModuleNotFoundError as error:
        remedy = missing_requirement(error)
        if remedy is None:
            raise
        return [Finding(ERROR, 'installation', 'a required Python package is missing', remedy)]


def _snapshot(node: Optional[str], watched: List[Any], seconds: float) -> Any:
    """The document of `graph_snapshot`, or a finding with the reason if there is none."""
    from edgesegnet_ros.demo.node_start import NodeMissing, check_node_is_there
    from edgesegnet_ros.demo.processes import Processes, ProcessFailed

    try:
        check_node_is_there()
    except NodeMissing as error:
        return Finding(ERROR, 'graph', f'cannot be observed: {error}')
    arguments = ['--seconds', str(seconds)]
    arguments += ['--node', node] if node else []
    for kind, topic in watched:
        arguments += ['--watch', f'{kind}={topic}']
    lines: List[str] = []
    with tempfile.TemporaryDirectory() as logs:
        try:
            with Processes(Path(logs), dict(os.environ)) as processes:
                child = processes.start('graph_snapshot', arguments, piped=True)
                processes.follow(child, lines.append)
        except ProcessFailed as failure:
            return Finding(
                ERROR, 'graph', f'cannot be observed: {failure}', 'Check RMW_IMPLEMENTATION.'
            )
    document: Dict[str, Any] = json.loads(lines[-1])
    return document

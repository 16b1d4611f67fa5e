"""The command `edgesegnet`: one module per subcommand, imported only when it is used."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from typing import List, Optional

from edgesegnet_ros import __version__
from edgesegnet_ros.arguments import HelpFormatter
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.extras import missing_requirement

COMMANDS = {
    'demo': (
        'edgesegnet_ros.demo',
        'play a rendered street, images, a bag or a camera to the ROS 2 node and show its masks',
    ),
    'predict': (
        'edgesegnet_ros.prediction.command',
        'segment images, videos, bags or a camera without ROS',
    ),
    'view': (
        'edgesegnet_ros.view.command',
        'show running nodes, or a source without ROS, in the Rerun viewer',
    ),
    'data': (
        'edgesegnet_ros.data.command',
        'check a labelled dataset, render a street, or turn a folder of images into a bag',
    ),
    'train': ('edgesegnet_ros.training.command', 'train a network on labelled images'),
    'explore': (
        'edgesegnet_ros.exploration.command',
        'search for a network that suits a dataset, a device and a requirement',
    ),
    'evaluate': (
        'edgesegnet_ros.evaluation.command',
        'measure the accuracy of a model on a split of a dataset',
    ),
    'replay': (
        'edgesegnet_ros.evaluation.replay.command',
        'run a model over recorded bags and report what it did',
    ),
    'export': (
        'edgesegnet_ros.engines.command',
        'build an engine for this machine, verify it against the fp32 network, and store it',
    ),
    'bench': (
        'edgesegnet_ros.evaluation.bench',
        ('measure the speed of networks and engines on this machine'),
    ),
    'model': (
        'edgesegnet_ros.engines.model_command',
        'describe a weights file or an ONNX file, and list what it lacks',
    ),
    'cache': (
        'edgesegnet_ros.engines.cache_command',
        'list, verify and prune the engines that were built on this machine',
    ),
    'doctor': (
        'edgesegnet_ros.doctor.command',
        'find what keeps the node from working, and print the remedies',
    ),
    'table1': (
        'edgesegnet_ros.evaluation.table1',
        "measure the columns of the paper's Table 1 on this machine",
    ),
    'figure2': (
        'edgesegnet_ros.evaluation.figure2',
        "draw images, labels and predictions as in the paper's Fig. 2",
    ),
}
EXIT_USAGE = 2


def build_parser(only: Optional[str] = None) -> argparse.ArgumentParser:
    """The parser, with the arguments of one subcommand only."""
    parser = argparse.ArgumentParser(
        prog='edgesegnet',
        description='Semantic segmentation for robots: EdgeSegNet as a ROS 2 node and its tools.',
        epilog='Exit status: 0 success, 1 check failed, 2 usage error.',
    )
    parser.add_argument('--version', action='version', version=f'edgesegnet_ros {__version__}')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + '.',
            formatter_class=HelpFormatter,
        )
        if name == only:
            importlib.import_module(module).add_arguments(command)
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one subcommand and return its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    only = next((word for word in given if not word.startswith('-')), None)
    try:
        args = build_parser(only).parse_args(given)
    except ModuleNotFoundError as error:
        return _refuse_without(error, only)
    try:
        return importlib.import_module(COMMANDS[args.command][0]).run(args)
    except EdgeSegNetError as error:
        print(f'edgesegnet {args.command}: {error}', file=sys.stderr)
        return EXIT_USAGE
    except ModuleNotFoundError as error:
        return _refuse_without(error, args.command)
    except KeyboardInterrupt:
        print(f'edgesegnet {args.command}: interrupted', file=sys.stderr)
        return 130


def _refuse_without(error: ModuleNotFoundError, command: Optional[str]) -> int:
    """Name a required package that is missing; any other missing module is an error of ours."""
    sentence = missing_requirement(error)
    if sentence is None:
        raise error
    print(f'edgesegnet {command}: {sentence}', file=sys.stderr)
    return EXIT_USAGE


if __name__ == '__main__':
    sys.exit(main())

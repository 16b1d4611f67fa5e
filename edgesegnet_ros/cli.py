"""The command `edgesegnet`: one module a subcommand, imported when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from typing import List, Optional

from edgesegnet_ros.errors import EdgeSegNetError

COMMANDS = {
    'demo': ('edgesegnet_ros.demo', 'watch the node segment a street, images or a camera'),
    'data': ('edgesegnet_ros.data.command', 'render a street, turn a folder into a bag'),
    'train': ('edgesegnet_ros.training.command', 'train on CamVid and rendered streets'),
    'table1': ('edgesegnet_ros.evaluation.table1', "the paper's Table 1 from our measurements"),
    'figure2': ('edgesegnet_ros.evaluation.figure2', "label maps as in the paper's Fig. 2"),
    'evaluate': ('edgesegnet_ros.evaluation.command', 'accuracy of a model on a split of CamVid'),
    'replay': ('edgesegnet_ros.evaluation.replay.command', 'recorded bags, and a report on them'),
    'export': ('edgesegnet_ros.engines.command', 'build an engine, prove it, keep it'),
    'doctor': (
        'edgesegnet_ros.doctor.command',
        'what keeps the node from working, and the remedy',
    ),
    'bench': ('edgesegnet_ros.evaluation.bench', 'speed of the engines on this machine'),
}
EXIT_USAGE = 2


def build_parser(only: Optional[str] = None) -> argparse.ArgumentParser:
    """The parser, with the arguments of the one subcommand that is asked for."""
    parser = argparse.ArgumentParser(
        prog='edgesegnet',
        description='Semantic segmentation for robots: EdgeSegNet as a ROS 2 node and its tools.',
        epilog='Exit status: 0 well, 1 the check failed, 2 wrong use.',
    )
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + '.',
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        if name == only:
            importlib.import_module(module).add_arguments(command)
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one subcommand and return its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    only = next((word for word in given if not word.startswith('-')), None)
    args = build_parser(only).parse_args(given)
    try:
        return importlib.import_module(COMMANDS[args.command][0]).run(args)
    except EdgeSegNetError as error:
        print(f'edgesegnet {args.command}: {error}', file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print(f'edgesegnet {args.command}: interrupted', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())

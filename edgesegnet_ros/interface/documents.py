"""Prints the documentation of parameters and diagnostics from their definitions.

    python -m edgesegnet_ros.interface.documents            prints all three
    python -m edgesegnet_ros.interface.documents --write    brings a checkout's files up to date

A table stands in a Markdown file between two comments, `<!-- parameters -->` and
`<!-- end of parameters -->`; config/edgesegnet.yaml is written as a whole.

Exit status: 0 success, 2 usage error (a file does not have the comments).
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import Dict, List, Optional

import yaml

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.interface import diagnostic_keys
from edgesegnet_ros.interface.parameter_table import (
    PARAMETERS,
    SECTIONS,
    NodeParameter,
    group_parameters,
)

ROOT = Path(__file__).resolve().parents[2]
TABLES = {'parameters': 'docs/node.md', 'diagnostics': 'docs/diagnostics.md'}
"""Name of a table -> the file that holds it."""
PARAMETER_FILE = 'config/edgesegnet.yaml'
_WIDTH = 99


class DocumentError(EdgeSegNetError):
    """A file without the comments that a table stands between."""


def parameter_table() -> str:
    """The parameters as a Markdown table."""
    rows = ['| parameter | default | live | |', '|---|---|---|---|']
    for parameter in PARAMETERS + group_parameters('<name>'):
        description = parameter.description.replace('<image>', '`<image>`')
        description = description.replace('~/.cache/edgesegnet_ros', '`~/.cache/edgesegnet_ros`')
        if parameter.choices:
            choices = ', '.join(f'`{choice}`' for choice in parameter.choices)
            description += f' One of {choices}.'
        elif parameter.range:
            description += ' From {:.16g} to {:.16g}.'.format(*parameter.range)
        live = 'yes' if parameter.live else 'no'
        rows.append(f'| `{parameter.name}` | `{_value(parameter)}` | {live} | {description} |')
    return '\n'.join(rows)


def diagnostics_table() -> str:
    """The keys of the diagnostics as a Markdown table."""
    rows = ['| key | meaning |', '|---|---|']
    rows += [f'| `{key}` | {meaning} |' for key, meaning in diagnostic_keys.KEYS.items()]
    return '\n'.join(rows)


def parameter_file() -> str:
    """config/edgesegnet.yaml."""
    lines = [
        '# All parameters of the node with their defaults. Copy this file, change what you need, '
        'and pass it',
        '# as params_file:=FILE; arguments of the launch file take precedence. Parameters marked '
        '(live) can',
        '# change while the node runs; the others require a cleanup first.',
        '#',
        '# Printed by `python -m edgesegnet_ros.interface.documents --write`.',
        '/**:',
        '  ros__parameters:',
    ]
    for section in SECTIONS:
        lines += _comment(section.title) + ['']
        for parameter in section.parameters:
            text = parameter.description
            if parameter.choices:
                text += f' One of {", ".join(parameter.choices)}.'
            lines += _comment(text + (' (live)' if parameter.live else ''))
            lines.append(f'    {parameter.name}: {_value(parameter)}')
        lines += [f'    # {line}' for line in section.note]
        lines.append('')
    return '\n'.join(
        lines
        + [
            '    # QoS follows the resolved topic name, as everywhere in ROS 2:',
            '    # qos_overrides:',
            '    #   /image:',
            '    #     subscription: {reliability: reliable, depth: 5}',
            '    #   /segmentation/mask:',
            '    #     publisher: {depth: 10}',
            '',
        ]
    )


def documents() -> Dict[str, str]:
    """The whole text of each file that holds something printed here, by its path.

    Raises:
        DocumentError: A file does not have the comments that its table stands between.
    """
    tables = {'parameters': parameter_table(), 'diagnostics': diagnostics_table()}
    result = {PARAMETER_FILE: parameter_file()}
    for name, path in TABLES.items():
        text = result.get(path) or (ROOT / path).read_text(encoding='utf-8')
        first, last = f'<!-- {name} -->\n', f'<!-- end of {name} -->'
        if text.count(first) != 1 or text.count(last) != 1:
            raise DocumentError(f'{path}: it must hold {first.strip()} and {last} once each')
        before, after = text.split(first)[0], text.split(last)[1]
        result[path] = f'{before}{first}\n{tables[name]}\n\n{last}{after}'
    return result


def _value(parameter: NodeParameter) -> str:
    text = yaml.safe_dump(parameter.default, default_flow_style=True, width=1000)
    return text.split('\n')[0]


def _comment(text: str) -> List[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent='    # ', subsequent_indent='    # ')


def main(arguments: Optional[List[str]] = None) -> int:
    """Print, or write; see the module for the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m edgesegnet_ros.interface.documents',
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('--write', action='store_true', help='write the files of this checkout')
    args = parser.parse_args(arguments)
    if not args.write:
        print(parameter_table(), diagnostics_table(), parameter_file(), sep='\n\n')
        return 0
    try:
        for path, text in documents().items():
            (ROOT / path).write_text(text, encoding='utf-8')
            print(path)
    except (DocumentError, OSError) as error:
        print(f'documents: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""The pages of the documentation: links lead somewhere, commands exist, the changelog is valid."""

from __future__ import annotations

import argparse
import re
from functools import cache
from pathlib import Path

import pytest

from edgesegnet_ros import cli
from edgesegnet_ros.interface.parameter_table import PARAMETERS

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'), *ROOT.glob('models/*.md')]
PHRASES = {
    r'\bpictures?\b': 'image',
    r'\bAll but\b': 'all ... except',
    r'gone on with|\bgo(?:es)? on\b': 'resume, or continue',
    r'\bnot named here\b': 'other settings keep their defaults',
    r'\b[Ww]rong use\b': 'usage error',
    r'\bcan(?:not)? be had\b': 'is (not) available',
    r'\bmend(?:s|ed)?\b': 'correct, or repair',
    r'\bnot given:': 'by default',
    r'\bso many\b': 'this many',
    r'\bnobody would\b': 'no output has a subscriber',
    r'\bgone wrong\b|\bleft away\b': 'failed, left out',
}
"""Phrases that pages and help texts do not use -> what they use instead."""
COMMAND = re.compile(r'(?:(?<=bin/)|(?<![\w./-]))edgesegnet (\w[\w-]*)((?: .*)?)')


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def options(command: str) -> frozenset[str]:
    """All options that a command and its subcommands take."""

    def of(parser: argparse.ArgumentParser):
        for action in parser._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for child in action.choices.values():
                    yield from of(child)

    parser = cli.build_parser(command)
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return frozenset(of(commands.choices[command]))


def anchors(page: Path) -> set[str]:
    """The names by which a page's headings are linked to."""
    titles = re.findall(r'^#+ (.+)$', page.read_text(encoding='utf-8'), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


def commands(text: str) -> list[tuple[str, str]]:
    """Commands of code blocks and code spans, each with the rest of its line."""
    joined = text.replace('\\\n', ' ')
    blocks = re.findall(r'^```.*?^```|^    .+$', joined, re.MULTILINE | re.DOTALL)
    # A span may go over the end of a line.
    spans = [
        span.replace('\n', ' ')
        for span in re.findall(
            r'(?<!`)`(edgesegnet [^`]+)`(?!`)', re.sub(r'```.*?```', '', joined, flags=re.DOTALL)
        )
    ]
    return [found for part in (*blocks, *spans) for found in COMMAND.findall(part)]


@pytest.mark.parametrize('page', PAGES, ids=page_id)
def test_links_lead_to_files_and_headings(page):
    for target, anchor in re.findall(
        r'\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)', page.read_text(encoding='utf-8')
    ):
        file = page.parent / target if target else page
        assert file.exists(), f'{page_id(page)} links to {target}, which does not exist'
        if anchor:
            assert anchor in anchors(file), f'{page_id(page)} links to #{anchor} of {file.name}'


@pytest.mark.parametrize('page', PAGES, ids=page_id)
def test_commands_and_their_options_exist(page):
    for command, rest in commands(page.read_text(encoding='utf-8')):
        where = f'{page_id(page)}: edgesegnet {command}{rest}'
        assert command in cli.COMMANDS, where
        # What follows a comment, or another program, is not the command's.
        own = re.split(r' #| && |;|\|', rest)[0]
        unknown = set(re.findall(r'(?<= )--[a-z][\w-]*', own)) - options(command)
        assert not unknown, f'{where}: no such option: {unknown}'


@pytest.mark.parametrize('page', PAGES, ids=page_id)
def test_configurations_that_commands_name_are_shipped(page):
    for command, rest in commands(page.read_text(encoding='utf-8')):
        for name in re.findall(r'--config ([a-z][\w-]+)', rest) if command == 'train' else ():
            assert (ROOT / 'config' / 'training' / f'{name}.yaml').is_file(), (page_id(page), name)


def test_each_cards_configuration_is_shipped():
    for card in ROOT.glob('models/*.md'):
        named = re.findall(r'(?:edgesegnet|unet)-camvid11-[\w-]+', card.read_text())
        shipped = {path.stem for path in ROOT.glob('config/training/*.yaml')}
        assert shipped & set(named), f'{card.name} names no configuration of config/training'


def test_a_command_in_code_is_found():
    text = '```\nedgesegnet train --epochs 3   # comment\n```\n`edgesegnet bench\n--frames 6`'
    assert commands(text) == [('train', ' --epochs 3   # comment'), ('bench', ' --frames 6')]
    assert '--epochs' in options('train') and '--gone' not in options('train')


def test_the_changelog_has_this_version():
    changelog = pytest.importorskip('catkin_pkg.changelog')
    found = changelog.get_changelog_from_path(str(ROOT / 'CHANGELOG.rst'), 'edgesegnet_ros')
    version = re.search(r'<version>(.+)</version>', (ROOT / 'package.xml').read_text())
    assert version and version[1] in [name for name, _, _ in found.foreach_version()]


def refused_phrases(text: str) -> list[str]:
    """What is wrong with a text's words; code, such as the name `picture`, is left out."""
    prose = re.sub(r'```.*?```|`[^`]*`|--[\w-]+', '', text, flags=re.DOTALL)
    return [
        f'{found[0]!r}: write {instead!r}'
        for phrase, instead in PHRASES.items()
        for found in re.finditer(phrase, prose)
    ]


@pytest.mark.parametrize('page', [*PAGES, ROOT / 'CHANGELOG.rst'], ids=page_id)
def test_pages_use_the_fields_words(page):
    assert not refused_phrases(page.read_text(encoding='utf-8'))


@pytest.mark.parametrize('command', sorted(cli.COMMANDS))
def test_help_uses_the_fields_words(command):
    def texts(parser: argparse.ArgumentParser):
        yield parser.format_help()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for child in action.choices.values():
                    yield from texts(child)

    parser = cli.build_parser(command)
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for text in texts(commands.choices[command]):
        assert not refused_phrases(' '.join(text.split()))


def test_descriptions_of_the_node_use_the_fields_words():
    for parameter in PARAMETERS:
        assert not refused_phrases(parameter.description), parameter.name


def test_a_refused_phrase_is_found():
    assert refused_phrases('All but one.') == ["'All but': write 'all ... except'"]
    assert refused_phrases('`picture` and --no-pictures are names.') == []

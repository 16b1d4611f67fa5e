"""Each accuracy that README and docs state for a shipped model is the one on its card."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODELS = ('edgesegnet-camvid11', 'edgesegnet-camvid11-368x480')

OTHER_SUBJECTS = {
    'docs/training.md': 'runs whose weights are not shipped',
    'docs/experiments.md': 'runs whose weights are not shipped',
    'docs/faults.md': 'images that were damaged on purpose',
    'docs/own-data.md': "data that is the reader's own",
    'docs/exploration.md': 'designs other than the shipped one',
}
"""Pages whose figures are not those of a card, and why."""

OF_THE_PAPER = {89.7, 90.3}
OF_REFINENET = {77.2, 35.0}

# Engines and precisions differ from the card's fp32 in single pixels.
TOLERANCE = 0.15
PER_CENT = re.compile(r'(?<![\d.])(\d{2}\.\d{1,2})(?: %| and \d{2}\.\d{1,2} %)')
IN_A_CELL = re.compile(r'(?<![\d.])(\d{2}\.\d{1,2})(?![\d.])')
SHARE = re.compile(r'(?<![\d.])(0\.\d{3,16})(?![\d.])')
SAYS_ACCURACY = re.compile(r'pixel accuracy|mIoU|pixel_accuracy', re.IGNORECASE)


def pages() -> list[Path]:
    """Every page that may state an accuracy of a shipped model."""
    found = [*ROOT.glob('*.md'), *ROOT.glob('docs/*.md')]
    return [page for page in found if str(page.relative_to(ROOT)) not in OTHER_SUBJECTS]


def card_figures(model: str) -> dict[str, tuple[float, float]]:
    """Pixel accuracy and mIoU in per cent, by split, and of the demo's street."""
    card = (ROOT / 'models' / f'{model}.md').read_text()
    rows = re.findall(r'^\| (val|test) \| (0\.\d{4}) \| (0\.\d{4}) \|', card, re.MULTILINE)
    figures = {split: (100 * float(accuracy), 100 * float(miou)) for split, accuracy, miou in rows}
    assert set(figures) == {'val', 'test'}, f'{model}: the card states val and test once each'
    street = re.search(
        r'street.*?pixel\s+accuracy\s+is\s+(0\.\d{4})\s+and\s+the\s+mIoU\s+(0\.\d{4})',
        card,
        re.DOTALL,
    )
    if street:
        figures['street'] = (100 * float(street[1]), 100 * float(street[2]))
    return figures


def blocks(text: str) -> list[str]:
    """What stands between empty lines: paragraphs and tables."""
    return re.split(r'\n\s*\n', text)


def accuracy_columns(table: str) -> str:
    """The cells of a table that stand below an accuracy's title."""
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in table.splitlines()]
    columns = [column for column, title in enumerate(rows[0]) if SAYS_ACCURACY.search(title)]
    return ' | '.join(row[column] for row in rows[2:] for column in columns if column < len(row))


def stated(block: str) -> list[float]:
    """The accuracies that a paragraph or a table states, in per cent."""
    if block.startswith('|'):
        block = accuracy_columns(block)
        per_cent = IN_A_CELL.findall(block)
    elif SAYS_ACCURACY.search(block):
        per_cent = PER_CENT.findall(block)
    else:
        return []
    shares = [100 * float(found) for found in SHARE.findall(block)]
    # Rates of agreement are above, calibration errors below.
    return [figure for figure in (*map(float, per_cent), *shares) if 30 < figure < 98]


def allowed() -> set[float]:
    """What may be stated: the cards' figures, the paper's and RefineNet-101's."""
    figures = {*OF_THE_PAPER, *OF_REFINENET}
    for model in MODELS:
        for pair in card_figures(model).values():
            figures.update(pair)
    return figures


def not_on_a_card(text: str) -> list[tuple[float, str]]:
    """Figures that no card has, each with what states it."""
    right = allowed()
    return [
        (figure, block)
        for block in blocks(text)
        for figure in stated(block)
        if min(abs(figure - one) for one in right) > TOLERANCE
    ]


def test_a_figure_of_older_weights_is_found():
    assert not_on_a_card('The pixel accuracy on val is 88.1 %.')
    assert not_on_a_card('gives pixel accuracy 0.8710794298444542 in fp32')
    assert not_on_a_card('|a|pixel accuracy|\n|-|-|\n|x|88.1|') and not not_on_a_card(
        '|a|GMAC|\n|-|-|\n|x|65.6|'
    )
    assert not not_on_a_card(
        'The pixel accuracy in the paper is 89.7 %, and 99.2 % of labels agree.'
    )


@pytest.mark.parametrize('page', pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_stated_accuracies_are_on_a_card(page):
    wrong = not_on_a_card(page.read_text())
    assert not wrong, '\n'.join(
        f'{figure:.2f} % is on no card:\n{where}' for figure, where in wrong
    )


@pytest.mark.parametrize('model', MODELS)
def test_the_figures_file_is_the_cards(model):
    figures = json.loads((ROOT / 'models' / f'{model}.json').read_text())
    accuracy, miou = card_figures(model)[figures['split']]
    assert 100 * figures['pixel_accuracy'] == pytest.approx(accuracy, abs=0.006)
    assert 100 * figures['miou'] == pytest.approx(miou, abs=0.006)


def test_readme_states_the_default_models_accuracy_on_test():
    readme = (ROOT / 'README.md').read_text()
    found = re.search(r'pixel accuracy \*\*(\d+\.\d) %\*\*,\s+mIoU\s+\*\*(\d+\.\d) %\*\*', readme)
    assert found, 'README states pixel accuracy and mIoU of the default model in bold'
    accuracy, miou = card_figures('edgesegnet-camvid11')['test']
    assert float(found[1]) == pytest.approx(accuracy, abs=0.051)
    assert float(found[2]) == pytest.approx(miou, abs=0.051)

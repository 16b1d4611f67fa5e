"""What a budget is enough for: sizes and lengths of an exploration that the user does not give."""

from __future__ import annotations

from typing import Any

_SHORT, _LONG = 20 * 60.0, 3 * 3600.0
"""Seconds below which a search is short, and from which it is long."""


def defaults(budget: float) -> dict[str, Any]:
    """Settings with which two cores try some thirty networks, ten generators or so.

    Args:
        budget: Seconds.

    Returns:
        Fields of `Settings` by name.
    """
    if budget < _SHORT:
        # The order after a third of so few steps is chance, so that all are trained to the end.
        return {
            'input_size': (64, 96),
            'views': 64,
            'steps': 45,
            'batch': 4,
            'val_images': 16,
            'population': 3,
            'halving': False,
        }
    if budget < _LONG:
        return {
            'input_size': (128, 192),
            'views': 400,
            'steps': 135,
            'batch': 8,
            'val_images': 32,
            'population': min(8, round(budget / 450)),
            'halving': True,
        }
    return {
        'input_size': (256, 256),
        'views': min(2000, round(budget / 10)),
        'steps': min(4050, round(budget / 24)),
        'batch': 8,
        'val_images': 0,
        'population': 8,
        'halving': True,
    }


def in_words(chosen: dict[str, Any], budget: float) -> str:
    """A sentence about what was chosen by the budget; '' where all of it was given.

    Args:
        chosen: The fields that were not given, with their values.
        budget: Seconds.
    """
    if not chosen:
        return ''
    shown = {
        name: 'x'.join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in chosen.items()
        if name != 'halving'
    }
    parts = [f'--{name.replace("_", "-")} {value}' for name, value in shown.items()]
    if 'halving' in chosen:
        parts.append('--halving' if chosen['halving'] else '--no-halving')
    text = f'chosen for a budget of {budget / 60:.3g} minutes: {", ".join(parts)}'
    if 'input_size' in chosen:
        text += (
            '; accuracy, GMAC and latency are those at this input size: give --input-size to '
            'search at the size of your robot'
        )
    return text

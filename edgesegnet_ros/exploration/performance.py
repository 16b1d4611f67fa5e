"""The universal performance U of a network: NetScore, and NetScore with measured latency."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

ALPHA, BETA, GAMMA = 2.0, 0.5, 0.5
"""Exponents of accuracy, parameters and multiply-accumulates."""


def netscore(accuracy: float, params: float, gmac: float) -> float:
    """NetScore (Wong 2018, arXiv 1806.05512): 20·log₁₀(a^α / (p^β·m^γ)) with α 2, β ½, γ ½.

    Args:
        accuracy: 0 to 1; a is in percent.
        params: Number of parameters; p is in millions.
        gmac: 10⁹ multiply-accumulates; m is in the same.

    Returns:
        Decibels; −inf for a network without any accuracy.
    """
    if not accuracy > 0:
        return -math.inf
    numerator = ALPHA * math.log10(100.0 * accuracy)
    return 20.0 * (
        numerator - BETA * math.log10(max(params, 1.0) / 1e6) - GAMMA * math.log10(max(gmac, 1e-9))
    )


def _by_macs(figures: Mapping[str, float]) -> float:
    return netscore(figures['accuracy'], figures['params'], figures['gmac'])


def _by_latency(figures: Mapping[str, float]) -> float:
    """As NetScore, with milliseconds instead of 10⁹ multiply-accumulates."""
    return netscore(figures['accuracy'], figures['params'], figures['latency_ms'])


def _speed(figures: Mapping[str, float]) -> float:
    """As NetScore, with milliseconds instead of both parameters and multiply-accumulates."""
    latency = figures['latency_ms']
    return netscore(figures['accuracy'], 1e6 * latency, latency)


PERFORMANCES: dict[str, tuple[str, Callable[[Mapping[str, float]], float]]] = {
    'netscore': ('accuracy, parameters, multiply-accumulates', _by_macs),
    'netscore-latency': ('accuracy, parameters, measured latency', _by_latency),
    'speed': ('accuracy and measured latency alone', _speed),
}
"""Definitions of U: a description, and the function of a network's figures."""


def performance(name: str, figures: Mapping[str, float]) -> float:
    """U of a network.

    Args:
        name: Key of PERFORMANCES.
        figures: Keys of `requirement.FIGURES`.
    """
    return PERFORMANCES[name][1](figures)

"""Rows of the table, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgesegnet_ros.evaluation.bench.cases import BenchCase, Skipped
from edgesegnet_ros.evaluation.bench.peak import Probe

EAGER = 'torch eager'


def make_rows(
    cases: Sequence[BenchCase],
    probes: Sequence[Probe],
    times: np.ndarray,
    size: tuple[int, int],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The measured rows of one input size.

    Args:
        cases: The cases in the order of `times`.
        probes: The probes in the order of `times`, after the cases.
        times: (cases + probes, frames) milliseconds.
        size: Height and width.

    Returns:
        The rows (network, engine, precision, device, device_type, input_size, params, gmac,
        latency_ms, fps, relative and gmac_per_s), and the fastest turn of the fastest probe of
        each device type and precision. `gmac_per_s` does not count products with padding.
        `relative` is null if eager fp32 of the network was not measured.
    """
    middle, best = np.median(times, axis=1), times.min(axis=1)
    peaks: dict[tuple[str, str], dict[str, Any]] = {}
    for probe, milliseconds in zip(probes, best[len(cases) :], strict=True):
        rate = probe.gmac / milliseconds * 1e3
        key = (probe.device_type, probe.precision)
        if key not in peaks or rate > peaks[key]['gmac_per_s']:
            peaks[key] = {
                'device_type': probe.device_type,
                'precision': probe.precision,
                'by': probe.by,
                'gmac_per_s': round(float(rate), 3),
                'input_size': list(size),
            }
    eager = {
        case.network: p50 for case, p50 in zip(cases, middle) if case.described.engine == EAGER
    }
    rows = []
    for case, milliseconds in zip(cases, times):
        is_ = case.described
        p50, p95 = (float(value) for value in np.percentile(milliseconds, (50, 95)))
        rate = case.work.inside / p50 * 1e3
        reference = eager.get(case.network)
        rows.append(
            {
                'network': case.network,
                'engine': is_.engine,
                'precision': is_.precision,
                'device': is_.device,
                'device_type': device_type_of(case),
                'input_size': list(size),
                'params': case.params,
                'gmac': round(case.work.gmac, 3),
                'latency_ms': {'p50': round(p50, 2), 'p95': round(p95, 2)},
                'fps': round(1e3 / p50, 2),
                'relative': None if reference is None else round(float(reference) / p50, 3),
                'gmac_per_s': round(rate, 3),
            }
        )
    return rows, list(peaks.values())


def highest(peaks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The highest peak of each device type and precision, over all input sizes of a run."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for peak in peaks:
        key = (peak['device_type'], peak['precision'])
        if key not in found or peak['gmac_per_s'] > found[key]['gmac_per_s']:
            found[key] = peak
    return list(found.values())


def compare(rows: Sequence[dict[str, Any]], peaks: Sequence[dict[str, Any]]) -> None:
    """Set `peak_gmac_per_s` and `peak_share` of the rows of a whole run.

    Each row is compared with the highest peak of its device type and precision. The probes do not
    depend on the input size, so that their slower turns beside another size say nothing about what
    the device can reach. Both values are null if no probe of the precision was measured.

    Args:
        rows: The rows of all input sizes.
        peaks: The peaks of all input sizes.
    """
    rates = {(one['device_type'], one['precision']): one['gmac_per_s'] for one in highest(peaks)}
    for row in rows:
        peak = rates.get((row['device_type'], row['precision']))
        row['peak_gmac_per_s'] = peak
        row['peak_share'] = None if peak is None else round(row['gmac_per_s'] / peak, 3)


def device_type_of(case: BenchCase) -> str:
    """The type of the device that a case runs on: cpu or cuda."""
    return 'cpu' if case.described.threads else 'cuda'


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of one input size, the fastest first, as text."""
    lines = [
        f'{"network":<16}{"engine":<13}{"precision":<10}{"M params":>9}{"GMAC":>8}{"p50 ms":>9}'
        f'{"p95 ms":>9}{"FPS":>8}{"x eager":>9}{"of peak":>9}'
    ]
    for row in sorted(rows, key=lambda row: row['latency_ms']['p50']):
        latency = row['latency_ms']
        times_eager = '' if row['relative'] is None else f'{row["relative"]:.2f}'
        share = '' if row['peak_share'] is None else peak_share(row)
        lines.append(
            f'{row["network"]:<16}{row["engine"]:<13}{row["precision"]:<10}'
            f'{row["params"] / 1e6:>9.2f}{row["gmac"]:>8.2f}{latency["p50"]:>9.1f}'
            f'{latency["p95"]:>9.1f}{row["fps"]:>8.1f}{times_eager:>9}{share:>9}'
        )
    if any('!' in line for line in lines):
        lines.append(
            '! above 100 % of the peak: the peak was measured too low, so this share is not valid'
        )
    return '\n'.join(lines)


def peak_share(row: dict[str, Any]) -> str:
    """A row's share of the peak; above 100 % it is marked, because the peak must be wrong."""
    share = float(row['peak_share'])
    return f'{share:.0%}' + ('!' if share > 1.0 else '')


def peak_lines(peaks: Sequence[dict[str, Any]]) -> str:
    """The peaks that the rows were compared with, as text."""
    return '\n'.join(
        f'peak of products and convolutions, {peak["precision"]} on the {peak["device_type"]}: '
        f'{peak["gmac_per_s"]:.1f} GMAC/s ({peak["by"]}, in turns with the rows of '
        f'{peak["input_size"][0]}x{peak["input_size"][1]})'
        for peak in highest(peaks)
    )


def skipped_lines(skipped: Sequence[Skipped]) -> str:
    """The skipped rows with their reasons, as text."""
    return '\n'.join(
        ('FAILED: ' if item.failed else 'not measured: ')
        + ' '.join(filter(None, item[:3]))
        + f': {item.reason}'
        for item in dict.fromkeys(skipped)
    )

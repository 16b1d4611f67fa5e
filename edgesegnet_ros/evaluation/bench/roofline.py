"""A prediction of the best speed of a Jetson AGX Xavier, from its published peaks.

Each operator takes the longer of computing (multiply-accumulates over the peak) and moving
(bytes over the memory's bandwidth); the operators follow one another (Williams, Waterman,
Patterson 2009, "Roofline"). Launches, caches, clocks under load and imperfect kernels are left
out, so a board will be slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgesegnet_ros.atomic_file import atomic_file, write_json, write_text
from edgesegnet_ros.evaluation.bench.layers import Layer, layers_of

BANDWIDTH = 137e9
"""Bytes per second of the 256-bit LPDDR4x (NVIDIA, Jetson AGX Xavier data sheet)."""
PAPER_FPS = 38.5
"""Measured by EdgeSegNet's authors on this board at 256×256 (arXiv 1905.04222, Table 1)."""
PAPER_GMAC = 10.26
"""Of Fig. 1 as written, at 32 classes and 256×256."""


class Peak(NamedTuple):
    """A published peak of the board at 1.37 GHz.

    Attributes:
        name: Precision and unit.
        mac_per_s: Half of the operations that are published.
        width: Bytes of a value.
    """

    name: str
    mac_per_s: float
    width: int


PEAKS = (
    Peak('fp32, 512 CUDA cores', 0.7e12, 4),
    Peak('fp16, 512 CUDA cores', 1.4e12, 2),
    Peak('fp16, 64 tensor cores', 5.5e12, 2),
    Peak('int8, 64 tensor cores', 11e12, 1),
)
"""1.4 and 2.8 TFLOPS, 11 TFLOPS and 22 TOPS, with two operations per multiply-accumulate."""


def predicted_ms(layers: Sequence[Layer], peak: Peak, share: float = 1.0) -> float:
    """Milliseconds of one image, if each peak is reached to `share`."""
    return (
        1e3
        * sum(
            max(layer.mac / peak.mac_per_s, layer.moved(peak.width) / BANDWIDTH)
            for layer in layers
        )
        / share
    )


def paper_share() -> float:
    """The share of the fp32 peak that the paper's own figure reached."""
    return PAPER_GMAC * 1e9 * PAPER_FPS / PEAKS[0].mac_per_s


def predict(layers: Sequence[Layer], size: tuple[int, int]) -> list[dict[str, Any]]:
    """A row for each peak: milliseconds and frames a second, and where the time goes."""
    rows = []
    for peak in PEAKS:
        bound = predicted_ms(layers, peak)
        memory = sum(
            layer.moved(peak.width) / BANDWIDTH
            for layer in layers
            if layer.moved(peak.width) / BANDWIDTH > layer.mac / peak.mac_per_s
        )
        rows.append(
            {
                'prediction': True,
                'peak': peak.name,
                'input_size': list(size),
                'ms': round(bound, 3),
                'fps': round(1e3 / bound, 1),
                'fps_at_the_papers_share': round(
                    1e3 / predicted_ms(layers, peak, paper_share()), 1
                ),
                'memory_bound_share': round(memory * 1e3 / bound, 3),
            }
        )
    return rows


def page(rows: Sequence[dict[str, Any]], layers: Sequence[Layer], size: tuple[int, int]) -> str:
    """The page in Markdown."""
    share = paper_share()
    lines = [
        '# EdgeSegNet on a Jetson AGX Xavier: a prediction',
        '',
        '**Nothing on this page was measured on a board.** It is made by `edgesegnet bench '
        '--roofline` from',
        'the counts of the inference form and the peaks that NVIDIA publishes '
        'for the AGX Xavier at 1.37 GHz:',
        '1.4 TFLOPS in fp32, 2.8 in fp16 on 512 CUDA cores, 11 '
        'in fp16 and 22 TOPS in int8 on 64 tensor',
        'cores, and 137 GB/s of LPDDR4x. Each '
        'operator takes the longer of computing and moving its bytes',
        'once. Left out are '
        'launches, caches, throttling, copies, the step from coarse logits to class ids',
        'and imperfect kernels: the first figure is a bound that no engine reaches.',
        '',
        f"The only available measurement is the paper's: **{PAPER_FPS} FPS** at 256x256 "
        f'(arXiv 1905.04222, Table 1),',
        f'which is {share:.0%} of the fp32 peak for the '
        f'{PAPER_GMAC} GMAC of Fig. 1. The last column assumes that an',
        'engine reaches the '
        'same share of its own peak; for tensor cores and int8 that is a guess.',
        '',
        '| input | peak | bound, ms | bound, FPS | time bound by memory '
        f'| FPS at {share:.0%} of the peak |',
        '|---|---|---|---|---|---|',
    ]
    for row in rows:
        height, width = row['input_size']
        lines.append(
            f'| {height}x{width} | {row["peak"]} | {row["ms"]:.2f} | {row["fps"]:.0f} '
            f'| {row["memory_bound_share"]:.0%} | {row["fps_at_the_papers_share"]:.0f} |'
        )
    lines += [
        '',
        '![Operators under the roofs of the Xavier](roofline.png)',
        '',
        f'## Operators at {size[0]}x{size[1]}',
        '',
        '| operator | MMAC | values moved, 10³ | fp32, µs | fp16 tensor cores, µs '
        '| bound by, in fp16 |',
        '|---|---|---|---|---|---|',
    ]
    fp32, tensor = PEAKS[0], PEAKS[2]
    for layer in layers:
        moving = layer.moved(tensor.width) / BANDWIDTH > layer.mac / tensor.mac_per_s
        lines.append(
            f'| {layer.name} | {layer.mac / 1e6:.1f} | {layer.moved(1) / 1e3:.0f} '
            f'| {predicted_ms([layer], fp32) * 1e3:.0f} '
            f'| {predicted_ms([layer], tensor) * 1e3:.0f} '
            f'| {"memory" if moving else "computing"} |'
        )
    return '\n'.join(lines) + '\n'


def draw(layers: Sequence[Layer], size: tuple[int, int], path: Path) -> str:
    """The roofline plot: rate over intensity, with one dot per operator. Returns a log line."""
    from edgesegnet_ros.evaluation.bench.plot import NO_MATPLOTLIB

    try:
        import matplotlib
    except ImportError:
        return NO_MATPLOTLIB
    matplotlib.use('Agg')
    import numpy as np
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(9.5, 5.6))
    colours = ('#9aa5b1', '#2e86ab', '#76b900', '#e4572e')
    intensity = np.logspace(0, 3.5, 200)
    for peak, colour in zip(PEAKS, colours, strict=True):
        roof = np.minimum(intensity * BANDWIDTH, peak.mac_per_s)
        panel.plot(intensity, roof / 1e12, color=colour, label=peak.name)
        convolutions = [layer for layer in layers if layer.mac]
        at = np.array([layer.mac / layer.moved(peak.width) for layer in convolutions])
        rate = np.minimum(at * BANDWIDTH, peak.mac_per_s)
        area = [8 + 1e-6 * layer.mac / 4 for layer in convolutions]
        panel.scatter(at, rate / 1e12, s=area, color=colour, alpha=0.45, edgecolors='none')
    panel.axhline(PAPER_GMAC * PAPER_FPS / 1e3, color='black', lw=0.9, ls='--')
    panel.annotate(
        f'measured by the paper: {PAPER_FPS} FPS',
        (20.0, PAPER_GMAC * PAPER_FPS / 1e3),
        xytext=(0, 4),
        textcoords='offset points',
        fontsize=9,
    )
    panel.set_xscale('log')
    panel.set_yscale('log')
    panel.set_xlabel('multiply-accumulates per byte moved')
    panel.set_ylabel('10¹² multiply-accumulates per second')
    panel.set_title(
        f'PREDICTION, not a measurement: EdgeSegNet at {size[0]}×{size[1]} on a Jetson AGX '
        'Xavier\na dot a convolution, its area its cost; roofs from published peaks',
        loc='left',
        fontsize=11,
    )
    panel.legend(frameon=False, loc='lower right')
    for side in ('top', 'right'):
        panel.spines[side].set_visible(False)
    figure.tight_layout()
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=120)
    pyplot.close(figure)
    return f'plot: {path}'


def write_page(model: str, sizes: Sequence[tuple[int, int]], folder: Path, to: str | None) -> int:
    """Write roofline.md and roofline.png, and print the table.

    Args:
        model: Name of a shipped model, or path of a weights file.
        sizes: Heights and widths; operators are listed for the first.
        folder: Takes the files.
        to: JSON file, or None.

    Returns:
        0.
    """
    from edgesegnet_ros.engines.recipe import recipe_for
    from edgesegnet_ros.engines.request import EngineRequest

    rows: list[dict[str, Any]] = []
    by_size = {}
    for size in sizes:
        recipe = recipe_for(EngineRequest(model=model, input_size=size))
        by_size[size] = layers_of(recipe.network(), size)
        rows += predict(by_size[size], size)
    folder.mkdir(parents=True, exist_ok=True)
    text = page(rows, by_size[sizes[0]], sizes[0])
    write_text(folder / 'roofline.md', text)
    print(text[: text.index('\n## Operators')])
    print(draw(by_size[sizes[0]], sizes[0], folder / 'roofline.png'))
    print(f'page: {folder / "roofline.md"}')
    if to:
        write_json(
            to,
            {
                'prediction': True,
                'measured': False,
                'paper': {'fps': PAPER_FPS, 'input_size': [256, 256]},
                'rows': rows,
            },
        )
    return 0

"""A histogram of scores, as lines of text and as an SVG picture that suits light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

WIDTH, HEIGHT, MARGIN = 640, 300, 44
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #57606a; }
    .title { font-weight: 600; }
    .liked { fill: #2f81f7; fill-opacity: 0.65; }
    .other { fill: #d29922; fill-opacity: 0.65; }
    line { stroke: #8c959f; }
    @media (prefers-color-scheme: dark) { text { fill: #adbac7; } }
"""


def text_histogram(scores: np.ndarray, bins: int = 20, width: int = 50) -> list[str]:
    """One line per bin of [0, 1]: its lower edge, a bar, the number of scores."""
    counts, edges = np.histogram(scores, bins=bins, range=(0.0, 1.0))
    longest = max(int(counts.max(initial=0)), 1)
    return [
        f"  {edge:4.2f} {'█' * round(width * int(count) / longest):<{width}} {count:>7,}"
        for edge, count in zip(edges[:-1], counts, strict=True)
    ]


def _bars(counts: np.ndarray, highest: float, kind: str) -> list[str]:
    step = (WIDTH - 2 * MARGIN) / len(counts)
    bars = []
    for index, count in enumerate(counts):
        height = (HEIGHT - 2 * MARGIN) * float(count) / highest
        x, y = MARGIN + index * step, HEIGHT - MARGIN - height
        bars.append(f'  <rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{step - 1:.1f}" height="{height:.1f}"/>')
    return bars


def svg_histogram(scores: np.ndarray, labels: np.ndarray, title: str, bins: int = 40) -> str:
    """Two overlaid histograms over [0, 1], of the rows with label 1 and with label 0, as an SVG document.

    Args:
        scores: [rows] floats from 0 to 1.
        labels: [rows] of 0 and 1.
        title: plain text above the picture.
    """
    liked = np.histogram(scores[labels == 1], bins=bins, range=(0.0, 1.0))[0]
    other = np.histogram(scores[labels == 0], bins=bins, range=(0.0, 1.0))[0]
    highest = max(int(liked.max(initial=0)), int(other.max(initial=0)), 1)
    base = HEIGHT - MARGIN
    ticks = [
        f'  <text x="{MARGIN + share * (WIDTH - 2 * MARGIN):.1f}" y="{base + 18}" text-anchor="middle">{share:g}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    legend = [
        f'  <rect class="liked" x="{WIDTH - 200}" y="14" width="12" height="12"/>',
        f'  <text x="{WIDTH - 182}" y="25">liked</text>',
        f'  <rect class="other" x="{WIDTH - 120}" y="14" width="12" height="12"/>',
        f'  <text x="{WIDTH - 102}" y="25">not liked</text>',
    ]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" width="{WIDTH}">',
        f"  <title>{title}</title>",
        f"  <style>{STYLE}  </style>",
        f'  <text class="title" x="{MARGIN}" y="25">{title}</text>',
        *_bars(other, highest, "other"),
        *_bars(liked, highest, "liked"),
        f'  <line x1="{MARGIN}" y1="{base}" x2="{WIDTH - MARGIN}" y2="{base}"/>',
        *ticks,
        *legend,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def write_svg(path: Path, scores: Sequence[float], labels: Sequence[int], title: str) -> None:
    path.write_text(svg_histogram(np.asarray(scores), np.asarray(labels), title), encoding="utf-8")

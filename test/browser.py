"""Opens pages in headless Chromium and asks them what they show."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
PROBE = """
<script>
(async () => {
  if (document.readyState !== 'complete')
    await new Promise(seen => window.addEventListener('load', seen, {once: true}));
  const film = document.querySelector('video');
  if (film) {
    if (film.readyState < 2)
      await Promise.race([
        new Promise(seen => film.addEventListener('loadeddata', seen, {once: true})),
        new Promise(seen => film.addEventListener('error', seen, {once: true}))]);
    const moved = new Promise(seen => film.addEventListener('timeupdate', seen, {once: true}));
    await film.play().then(() => moved).catch(() => {});
  }
  const told = document.createElement('pre');
  told.id = 'probe';
  told.textContent = JSON.stringify({
    pictures: [...document.images].filter(p => p.src).map(p => p.naturalWidth),
    plots: [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().height),
    video: film && {state: film.readyState, seconds: film.duration, width: film.videoWidth,
                    at: film.currentTime, error: film.error && film.error.message},
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    requests: performance.getEntriesByType('resource').map(e => e.name)
                         .filter(name => !name.startsWith('data:')),
  });
  document.body.append(told);
})();
</script>
"""
"""Shorter than a page's content: it waits for what is to be seen, then writes it down."""


@dataclass
class Seen:
    """What a page showed.

    Attributes:
        figures: What PROBE wrote down.
        console: Lines that the page, or the browser about it, wrote to the console.
    """

    figures: dict[str, Any]
    console: list[str]


def find() -> str | None:
    """A Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def _run(folder: Path, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    browser = find()
    assert browser is not None
    return subprocess.run(
        [
            browser,
            '--headless=new',
            '--no-sandbox',
            '--disable-gpu',
            '--hide-scrollbars',
            '--no-first-run',
            '--disable-background-networking',
            '--enable-logging=stderr',
            f'--user-data-dir={folder / "profile"}',
            '--autoplay-policy=no-user-gesture-required',
            '--virtual-time-budget=20000',
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, 'HOME': str(folder)},
    )


def look(page: Path, folder: Path, width: int = 1280) -> Seen:
    """Open a page and write down what it shows.

    Args:
        page: The file.
        folder: For the browser's profile and a copy of the page.
        width: Of the window, in pixels.
    """
    copy = folder / f'probe-{page.name}'
    copy.write_text(page.read_text().replace('</body>', PROBE + '</body>'))
    done = _run(folder, copy, f'--window-size={width},900', '--dump-dom')
    told = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told, f'the page ended before it was seen:\n{done.stderr[-3000:]}'
    console = [line for line in done.stderr.splitlines() if 'CONSOLE' in line]
    return Seen(json.loads(unescape(told[1])), console)


def picture(page: Path, folder: Path, out: Path, size: tuple[int, int], dark: bool) -> None:
    """Write a screenshot.

    Args:
        page: The file.
        folder: For the browser's profile.
        out: PNG.
        size: Width and height of the window.
        dark: Whether the page is asked for its dark colours.
    """
    scheme = ['--blink-settings=preferredColorScheme=0'] if dark else []
    done = _run(folder, page, f'--window-size={size[0]},{size[1]}', f'--screenshot={out}', *scheme)
    assert out.is_file(), done.stderr[-3000:]

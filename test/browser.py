"""Opens pages in headless Chromium and asks them what they show."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

FLAT = ('--disable-gpu', '--virtual-time-budget=20000')
"""Options for pages that need no WebGL."""
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


def _run(folder: Path, page: str, *options: str) -> subprocess.CompletedProcess[str]:
    browser = find()
    assert browser is not None
    return subprocess.run(
        [
            browser,
            '--headless=new',
            '--no-sandbox',
            '--hide-scrollbars',
            '--no-first-run',
            '--disable-background-networking',
            '--enable-logging=stderr',
            f'--user-data-dir={folder / "profile"}',
            '--autoplay-policy=no-user-gesture-required',
            *options,
            page,
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
    done = _run(folder, copy.as_uri(), *FLAT, f'--window-size={width},900', '--dump-dom')
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
    window = f'--window-size={size[0]},{size[1]}'
    done = _run(folder, page.as_uri(), *FLAT, window, f'--screenshot={out}', *scheme)
    assert out.is_file(), done.stderr[-3000:]


def drawn(
    address: str, folder: Path, seen: Callable[[np.ndarray], bool], timeout_s: float
) -> bool | None:
    """Whether a page that draws with WebGL comes to show something; None without WebGL.

    Args:
        address: Of the page.
        folder: For the browser's profile.
        seen: Judges a screenshot, (H, 800, 3) uint8 RGB.
        timeout_s: For all of it.
    """
    browser = find()
    assert browser is not None
    # The DevTools protocol: requests go to descriptor 3, answers come from 4, each ends in a NUL.
    requests_out, requests = os.pipe()
    answers, answers_in = os.pipe()
    words = [
        *(browser, '--headless=new', '--no-sandbox', '--no-first-run', '--window-size=800,600'),
        *('--disable-background-networking', f'--user-data-dir={folder / "profile"}'),
        # Drawn by the CPU, where there is no GPU.
        *('--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'),
        '--remote-debugging-pipe',
    ]
    process = subprocess.Popen(
        ['bash', '-c', f'exec "$@" 3<&{requests_out} 4>&{answers_in}', 'bash', *words],
        pass_fds=(requests_out, answers_in),
        stderr=subprocess.DEVNULL,
        env={**os.environ, 'HOME': str(folder)},
    )
    os.close(requests_out)
    os.close(answers_in)
    stream = os.fdopen(answers, 'rb')
    numbers = itertools.count(1)
    rest = b''

    def ask(method: str, session: str = '', **parameters: Any) -> dict[str, Any]:
        nonlocal rest
        number = next(numbers)
        request = {'id': number, 'method': method, 'params': parameters}
        if session:
            request['sessionId'] = session
        os.write(requests, json.dumps(request).encode() + b'\0')
        while True:
            while b'\0' not in rest:
                read = os.read(answers, 1 << 20)
                assert read, 'the browser has ended'
                rest += read
            answer, _, rest = rest.partition(b'\0')
            told = json.loads(answer)
            if told.get('id') == number:
                return told.get('result', {})

    end = time.monotonic() + timeout_s
    try:
        target = ask('Target.createTarget', url='about:blank')['targetId']
        session = ask('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        script = "!!document.createElement('canvas').getContext('webgl2')"
        able = ask('Runtime.evaluate', session, expression=script)['result']['value']
        if not able:
            return None
        ask('Page.navigate', session, url=address)
        while time.monotonic() < end:
            data = ask('Page.captureScreenshot', session).get('data')
            if data:  # none while the page is being changed
                png = np.frombuffer(base64.b64decode(data), np.uint8)
                if seen(cv2.cvtColor(cv2.imdecode(png, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)):
                    return True
            time.sleep(0.2)
        return False
    finally:
        process.terminate()
        process.wait(30)
        os.close(requests)
        stream.close()

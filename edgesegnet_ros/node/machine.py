"""The state of the machine for the diagnostics: contention, temperature, power mode.

All values are read from files of Linux; values that a machine does not have are omitted.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from edgesegnet_ros.interface import diagnostic_keys as keys


class Machine:
    """Reads the values for each report; shares are over the time since the last report.

    Args:
        root: Root of the file system, which tests replace.
    """

    def __init__(self, root: Path = Path('/')) -> None:
        self._root = root
        self._last = self._times()
        self._zones = sorted(root.glob('sys/class/thermal/thermal_zone*/temp'))

    def values(self) -> Dict[str, str]:
        """Values by the keys of the diagnostics."""
        result: Dict[str, str] = {}
        now, last = self._times(), self._last
        if now is not None and last is not None and now[1] > last[1]:
            self._last = now
            whole = now[1] - last[1]
            result[keys.CPU_BUSY] = f'{100 * (now[0] - last[0]) / whole:.0f}'
            elapsed = (now[3] - last[3]) * (os.cpu_count() or 1)
            result[keys.CPU_OWN] = f'{100 * (now[2] - last[2]) / max(elapsed, 1e-6):.0f}'
        pressure = re.search(r'some avg10=([\d.]+)', self._read('proc/pressure/cpu'))
        if pressure:
            result[keys.CPU_PRESSURE] = f'{float(pressure[1]):.0f}'
        temperatures = [t for t in map(self._temperature, self._zones) if t is not None]
        if temperatures:
            result[keys.TEMPERATURE_C] = f'{max(temperatures):.1f}'
        mode = re.search(r'pmode:(\d+)', self._read('var/lib/nvpmodel/status'))
        if mode:
            result[keys.POWER_MODE] = str(int(mode[1]))
        return result

    def _times(self) -> Optional[Tuple[int, int, float, float]]:
        """Busy and all ticks of all cores, this process's CPU time in s, and the time in s."""
        found = re.match(r'cpu +([\d ]+)', self._read('proc/stat'))
        if not found:
            return None
        ticks: List[int] = [int(text) for text in found[1].split()]
        idle = sum(ticks[3:5])
        return sum(ticks[:8]) - idle, sum(ticks[:8]), time.process_time(), time.monotonic()

    def _temperature(self, zone: Path) -> Optional[float]:
        try:
            return int(zone.read_text()) / 1000.0
        except (OSError, ValueError):  # a zone that is switched off cannot be read
            return None

    def _read(self, name: str) -> str:
        try:
            return (self._root / name).read_text()
        except OSError:
            return ''

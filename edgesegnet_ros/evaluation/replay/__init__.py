"""Replay of recorded bags through the production path, with a report.

`result.ReplayResult` is what a replay found, `frames.FrameSink` takes its frames one by one, and
`label_maps` keeps every label map, for a comparison pixel for pixel.
"""

"""Metrics in Prometheus' text format."""

import re
from dataclasses import dataclass

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\Z")
_LABEL = re.compile(r'\s*(?P<key>[a-zA-Z_][a-zA-Z0-9_]*)="(?P<value>(?:[^"\\]|\\.)*)"\s*(?:,|\Z)')
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Sample:
    """One number with its name and labels."""

    name: str
    labels: dict[str, str]
    value: float


class Metrics:
    """All samples of one scrape."""

    def __init__(self, samples: list[Sample]):
        self.samples = samples

    @classmethod
    def parse(cls, text: str) -> "Metrics":
        """Read the text format; a line that is neither comment nor sample raises ValueError."""
        lines = (line.strip() for line in text.splitlines())
        return cls([_parse_sample(line) for line in lines if line and not line.startswith("#")])

    def names(self) -> set[str]:
        """Names of all samples."""
        return {sample.name for sample in self.samples}

    def find(self, name: str, **labels: str) -> list[Sample]:
        """Samples of a name whose labels include the given ones."""
        return [
            sample
            for sample in self.samples
            if sample.name == name and all(sample.labels.get(key) == value for key, value in labels.items())
        ]

    def total(self, name: str, **labels: str) -> float:
        """Sum of the matching samples; none counts as zero, as a counter that has never moved may be missing."""
        return sum(sample.value for sample in self.find(name, **labels))


def _parse_sample(line: str) -> Sample:
    match = _SAMPLE.match(line)
    if match is None:
        raise ValueError(f"not a sample: {line!r}")
    return Sample(match["name"], _parse_labels(match["labels"] or ""), float(match["value"]))


def _parse_labels(text: str) -> dict[str, str]:
    labels, position = {}, 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            raise ValueError(f"not a list of labels: {text!r}")
        labels[match["key"]] = _ESCAPE.sub(lambda escape: {"n": "\n"}.get(escape[1], escape[1]), match["value"])
        position = match.end()
    return labels

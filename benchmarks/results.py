"""What a run of the benchmarks has found: every sample, kept as JSON."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from benchmarks.runs import Run

__all__ = ("Results", "Sample", "sample_of")

Sample: TypeAlias = Mapping[str, float]
"""What one contestant took in one round, by name of the figure."""


def sample_of(run: Run) -> Sample:
    """Return the figures of a run."""
    figures = dataclasses.asdict(run)
    return {name: figure for name, figure in figures.items() if isinstance(figure, (int, float))}


@dataclass
class Results:
    """Samples by row of the table and contestant, one for each round."""

    setting: dict[str, str] = field(default_factory=dict)
    """What was run, and on what."""
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    """SHA-256 of outputs."""
    missing: dict[str, str] = field(default_factory=dict)
    """Why a row could not be measured."""

    def add(self, row: str, contestant: str, sample: Sample) -> None:
        """Add the sample of the next round."""
        self.samples.setdefault(row, {}).setdefault(contestant, []).append(sample)

    def contestants(self, row: str) -> list[str]:
        """Return who ran for a row, in their order."""
        return list(self.samples.get(row, {}))

    def figures(self, row: str, contestant: str, figure: str) -> list[float]:
        """Return a figure of each round."""
        return [sample[figure] for sample in self.samples[row][contestant]]

    def median(self, row: str, contestant: str, figure: str) -> float:
        """Return the median of a figure over the rounds."""
        return statistics.median(self.figures(row, contestant, figure))

    def rates(self, row: str, contestant: str) -> list[float]:
        """Return the events per second of each round."""
        return [sample["events"] / sample["wall"] for sample in self.samples[row][contestant]]

    def costs(self, row: str, contestant: str, figure: str = "cpu") -> list[float]:
        """Return the microseconds per event of each round: of CPU, or of wall time."""
        return [1e6 * sample[figure] / sample["events"] for sample in self.samples[row][contestant]]

    def write(self, path: Path) -> None:
        """Write it all as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `write` has written."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

"""The dashboard that Grafana shows, as the file from which it is made."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[3] / "compose/observability/grafana/dashboards/dynamo.json"

# What Grafana puts in for its own variable: four times the interval at which Prometheus asks, or more.
INTERVAL = ("$__rate_interval", "30s")

# What `=` follows is a label.
_METRIC = re.compile(r"\b(?:(?:dynamo|etcd)_\w+|up)\b(?!=)")


@dataclass(frozen=True)
class Query:
    """One line of a panel."""

    panel: str
    legend: str
    expression: str

    @property
    def metrics(self) -> set[str]:
        """Metrics that the expression names."""
        return set(_METRIC.findall(self.expression))

    def __str__(self) -> str:
        return f"{self.panel}: {self.legend}"


def panels() -> list[dict]:
    """All panels, rows included."""
    return json.loads(FILE.read_text(encoding="utf-8"))["panels"]


def queries() -> list[Query]:
    """All lines of all panels."""
    return [
        Query(panel["title"], target["legendFormat"], target["expr"].replace(*INTERVAL))
        for panel in panels()
        for target in panel.get("targets", [])
    ]

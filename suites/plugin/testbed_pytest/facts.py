"""What is true of the stack: read once from the file that ``TESTBED_FACTS`` names.

The file is one JSON object::

    {
      "run_id": "...", "profile": "mocker", "model": "tiny",
      "stack_facts": {"router": "kv", "request_plane": "nats", "workers": "2"},
      "services": {"frontend": {"host": "frontend", "ports": {"http": 8000}}, "worker-0": {"host": "worker-0"}},
      "endpoints": {"frontend": "http://frontend:8000", "nats": "nats://nats:4222", "etcd": "http://etcd:2379"},
      "covered_by": [{"router": "round-robin"}], "covered_later": []
    }

The last two are the facts of further stacks of the same run: earlier ones, which execute what they can, and later ones.

Keys that this module does not know are ignored, so that the file can grow.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

VARIABLE = "TESTBED_FACTS"
SYSTEM_PORT = 9090
# Services that are not workers, whatever number they have behind their name. What else a stack has serves the model.
INFRASTRUCTURE = frozenset(["frontend", "nats", "etcd", "planner", "prometheus", "grafana"])


class FactsError(Exception):
    """The facts are missing or cannot be read."""


@dataclass(frozen=True)
class Service:
    """One service of the stack, as it can be reached from where the cases run."""

    name: str
    host: str
    ports: Mapping[str, int] = field(default_factory=dict)

    @property
    def system_url(self) -> str:
        """Address of a Dynamo process's system server, which has ``/health``, ``/live`` and ``/metrics``."""
        return f"http://{self.host}:{self.ports.get('system', SYSTEM_PORT)}"


@dataclass(frozen=True)
class Profile:
    """The environment that the cases run in."""

    name: str
    run_id: str
    model: str
    stack_facts: Mapping[str, str]
    services: Mapping[str, Service]
    endpoints: Mapping[str, str]
    covered_by: Sequence[Mapping[str, str]] = ()
    covered_later: Sequence[Mapping[str, str]] = ()

    def fact(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return a fact of the stack as text."""
        return self.stack_facts.get(name, default)

    def number(self, name: str) -> int:
        """Return a fact that must be there and be a whole number."""
        value = self.stack_facts.get(name)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise FactsError(f"fact `{name}` of profile `{self.name}` is {value!r}, not a whole number") from None

    @property
    def workers(self) -> List[Service]:
        """The services that serve the model, by name."""
        return [self.services[name] for name in sorted(self.services) if is_worker(name)]


def is_worker(service: str) -> bool:
    """Whether a service serves the model: `etcd-2` is a member of a registry, `worker-2` a worker."""
    name, _, number = service.rpartition("-")
    return (name if number.isdigit() else service) not in INFRASTRUCTURE


def load(environ: Mapping[str, str]) -> Profile:
    """Read the facts of the stack that the environment names."""
    path = environ.get(VARIABLE)
    if not path:
        raise FactsError(f"{VARIABLE} is not set: this case needs a stack; start it with `testbed run`")
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FactsError(f"cannot read the facts in `{path}`: {error}") from error
    return parse(document, path)


def parse(document: object, path: str) -> Profile:
    """Turn the JSON document from `path` into a profile."""
    if not isinstance(document, dict):
        raise FactsError(f"the facts in `{path}` are not a JSON object")
    try:
        services = {
            name: Service(
                name, str(entry.get("host") or name), {key: int(port) for key, port in entry.get("ports", {}).items()}
            )
            for name, entry in document.get("services", {}).items()
        }
        workers = [name for name in services if is_worker(name)]
        return Profile(
            name=str(document["profile"]),
            run_id=str(document.get("run_id", "")),
            model=str(document.get("model", "")),
            stack_facts={"workers": str(len(workers)), **texts(document.get("stack_facts", {}))},
            services=services,
            endpoints={key: str(value).rstrip("/") for key, value in document.get("endpoints", {}).items()},
            covered_by=[texts(each) for each in document.get("covered_by", [])],
            covered_later=[texts(each) for each in document.get("covered_later", [])],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FactsError(f"the facts in `{path}` have an unexpected shape: {error!r}") from error


def texts(document: Mapping[str, object]) -> Dict[str, str]:
    """Write all facts as text."""
    return {key: text(value) for key, value in document.items()}


def text(value: object) -> str:
    """Write a fact as text, booleans as JSON does."""
    return str(value).lower() if isinstance(value, bool) else str(value)

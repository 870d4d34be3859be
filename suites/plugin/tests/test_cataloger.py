"""The cataloger: what a runner hears of every case before anything is chosen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed_pytest import cataloger

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]

PLUGIN = Path(cataloger.__file__).parents[1]


@pytest.fixture
def catalog(pytester, tmp_path):
    """Collect in a process of its own, for a hook on what is read cannot be taken back, and return the events."""

    def catalog(files, *arguments):
        for name, text in files.items():
            path = pytester.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        told = tmp_path / "events.jsonl"
        descriptor = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        environ = {**os.environ, "TESTBED_CATALOG": "1", "TESTBED_EVENTS_FD": str(descriptor)}
        environ["PYTHONPATH"] = str(PLUGIN)
        argv = [sys.executable, "-m", "pytest", "-p", "testbed_pytest", "-p", "no:cacheprovider", "--collect-only"]
        argv += ["-qq", "--continue-on-collection-errors", f"--rootdir={pytester.path}", *arguments]
        subprocess.run(  # noqa: S603  The command is the test's own.
            argv,
            cwd=pytester.path,
            env=environ,
            pass_fds=[descriptor],
            check=False,
            timeout=60,
            capture_output=True,
        )
        os.close(descriptor)
        return [json.loads(line) for line in told.read_text().splitlines()]

    return catalog


def cases(events):
    return [case for event in events if event["event"] == "cataloged" for case in event["cases"]]


def sources(events):
    (event,) = [event for event in events if event["event"] == "sources"]
    return event


def test_every_case_is_told_with_its_markers_as_written(catalog):
    events = catalog(
        {
            "pytest.ini": "[pytest]\nmarkers =\n    own(x): of the project\n",
            "test_a.py": """
import pytest

pytestmark = pytest.mark.premerge

class TestIt:
    @pytest.mark.own(1, x="y", z=(1, {2}), f=len)
    @pytest.mark.parametrize("p", ["q"])
    def test_b(self, p, tmp_path): pass
""",
        }
    )
    (case,) = cases(events)
    assert (case["id"], case["file"], case["line"]) == ("test_a.py::TestIt::test_b[q]", "test_a.py", 7)
    own = [mark for mark in case["marks"] if mark["name"] == "own"]
    assert own == [{"name": "own", "args": [1], "kwargs": {"x": "y", "z": [1, [2]], "f": "len"}}]
    assert [mark["name"] for mark in case["marks"]].count("premerge") == 1
    assert not {"pre_merge", "gpu_0"} & {mark["name"] for mark in case["marks"]}
    assert {"TestIt", "test_a.py"} <= set(case["keywords"])
    assert "tmp_path" in case["fixtures"]
    assert sources(events)["declared"]["own"] == "of the project"
    assert "gpu_8" not in sources(events)["declared"]


def test_what_the_projects_own_hooks_add_and_take_away_is_told(catalog):
    events = catalog(
        {
            "conftest.py": """
import pytest

def pytest_collection_modifyitems(config, items):
    for item in items:
        item.add_marker(pytest.mark.gpu_1)
    config.hook.pytest_deselected(items=items[1:])
    items[:] = items[:1]
""",
            "test_a.py": "def test_a(): pass\ndef test_b(): pass\n",
        }
    )
    assert [(case["id"], case.get("left_out", False)) for case in cases(events)] == [
        ("test_a.py::test_a", False),
        ("test_a.py::test_b", True),
    ]
    assert all(case["marks"][0]["name"] == "gpu_1" for case in cases(events))


def test_a_broken_file_is_told_and_the_rest_is_cataloged(catalog):
    events = catalog({"test_a.py": "import nothing_like_it\n", "test_b.py": "def test_b(): pass\n"})
    (error,) = [event for event in events if event["event"] == "collect_error"]
    assert (error["file"], "nothing_like_it" in error["message"]) == ("test_a.py", True)
    assert [case["id"] for case in cases(events)] == ["test_b.py::test_b"]
    assert "test_a.py" in sources(events)["files"]


def test_a_project_that_distributes_its_cases_is_cataloged_all_the_same(catalog):
    events = catalog({"pytest.ini": "[pytest]\naddopts = -n 2\n", "test_a.py": "def test_a(): pass\n"})
    assert [case["id"] for case in cases(events)] == ["test_a.py::test_a"]


def test_many_cases_come_in_portions(catalog):
    source = "import pytest\n@pytest.mark.parametrize('x', range(1201))\ndef test_a(x): pass\n"
    events = catalog({"test_a.py": source})
    assert [len(event["cases"]) for event in events if event["event"] == "cataloged"] == [500, 500, 201]
    assert sources(events)["cases"] == 1201


def test_what_a_case_is_repeated_for_is_no_part_of_its_markers(catalog):
    source = "import pytest\n@pytest.mark.parametrize('x', ['v' * 1000], ids=['a'])\ndef test_a(x): pass\n"
    (case,) = cases(catalog({"test_a.py": source}))
    assert case["marks"] == [{"name": "parametrize", "args": [], "kwargs": {}}]


def test_what_was_read_and_listed_is_told(catalog):
    events = catalog(
        {
            "data/names.txt": "a\nb\n",
            "unread.txt": "",
            "lib/__init__.py": "",
            "lib/used.py": "from . import deeper\n",
            "lib/deeper.py": "",
            "lib/lazy.py": "import lib.used\n",
            "tests/conftest.py": "pytest_plugins = []\n",
            "tests/test_a.py": """
from pathlib import Path
import pytest
from lib import used

NAMES = Path("data/names.txt").read_text().split()

@pytest.mark.parametrize("name", NAMES)
def test_a(name):
    import lib.lazy
""",
        }
    )
    told = sources(events)
    wanted = {"data/names.txt", "lib/used.py", "lib/lazy.py", "tests/conftest.py", "tests/test_a.py"}
    assert wanted <= set(told["files"])
    assert "unread.txt" not in told["files"]
    assert "tests" in told["folders"]
    assert told["imports"]["tests/test_a.py"] == ["lib/__init__.py", "lib/lazy.py", "lib/used.py"]
    assert told["imports"]["lib/used.py"] == ["lib/__init__.py", "lib/deeper.py"]
    assert not [path for path in told["files"] if path.startswith(("/", ".."))]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "nan"),
        (1.5, 1.5),
        (10**400, "1" + "0" * 400),
        (-(2**63), str(-(2**63))),
        ({1: (None, True)}, {"1": [None, True]}),
        (frozenset(["b", "a"]), ["a", "b"]),
        (Path("/x"), "/x"),
        (ValueError, "ValueError"),
    ],
)
def test_arguments_are_told_as_json_can_hold_them(value, told):
    assert cataloger.plain(value) == told

"""The stream of events: whole lines, and never a reason to fail."""

import json
import os

import pytest

from testbed_pytest import stream

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    for descriptor in (read, write):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_an_event_is_one_line_of_ascii(pipe):
    read, write = pipe
    stream.EventStream(write).write({"event": "x", "text": "zwei\nZeilen \udcff ä"})
    data = os.read(read, 4096)
    assert data.isascii()
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    assert json.loads(data)["text"] == "zwei\nZeilen \udcff ä"


def test_what_json_does_not_know_is_written_as_text(pipe):
    read, write = pipe
    stream.EventStream(write).write({"count": {1}})
    assert json.loads(os.read(read, 4096)) == {"count": "{1}"}


def test_a_reader_that_has_gone_is_told_of_once_and_disturbs_nothing(pipe, capsys, monkeypatch):
    read, write = pipe
    os.close(read)
    said = []
    monkeypatch.setattr(stream, "complain", said.append)
    events = stream.EventStream(write)
    for _ in range(3):
        events.write({"event": "x"})
    assert len(said) == 1
    assert "events are no longer written" in said[0]


def test_the_descriptor_is_taken_out_of_the_environment_and_kept_from_children(pipe):
    _, write = pipe
    os.set_inheritable(write, True)
    environ = {stream.VARIABLE: str(write), "OTHER": "1"}
    assert stream.open_stream(environ) is not None
    assert environ == {"OTHER": "1"}
    assert not os.get_inheritable(write)


@pytest.mark.parametrize("value", ["", "three", "987654"])
def test_a_descriptor_that_is_none_is_told_of_and_ignored(monkeypatch, value):
    said = []
    monkeypatch.setattr(stream, "complain", said.append)
    assert stream.open_stream({stream.VARIABLE: value}) is None
    assert "is not an open descriptor" in said[0]


def test_without_a_descriptor_there_is_no_stream():
    assert stream.open_stream({}) is None

"""The lines of log: for people, or for what collects them."""

import json
import logging
import sys

import pytest

from dfml.operations.logs import Lines, worker_name
from dfml.record import Position, TopicName

POSITION = Position(TopicName("t.in"), 2, 17)


def record(**more):
    made = logging.makeLogRecord({"name": "dfml.x", "levelno": 30, "levelname": "WARNING", "created": 0.25, **more})
    made.msg, made.args = "%s is late", (POSITION,)
    return made


def test_a_line_for_people_has_time_level_part_worker_and_message():
    line = Lines("text", "engine").format(record(step="a"))
    assert line == f"1970-01-01 00:00:00.250 WARNING engine {worker_name()} dfml.x: t.in[2]@17 is late step=a"


def test_a_line_for_programs_is_one_object_with_every_field():
    line = json.loads(Lines("json", "engine").format(record(step="a", position=POSITION._asdict())))
    assert (line["time"], line["level"]) == ("1970-01-01T00:00:00.250Z", "warning")
    assert (line["part"], line["worker"], line["logger"]) == ("engine", worker_name(), "dfml.x")
    assert (line["message"], line["step"]) == ("t.in[2]@17 is late", "a")


def test_a_traceback_is_a_field_and_not_a_line():
    try:
        int("odd")
    except ValueError:
        line = Lines("json", "tap").format(record(exc_info=sys.exc_info()))
    assert "\n" not in line
    assert json.loads(line)["error"].endswith("'odd'")


@pytest.mark.parametrize("form", ["text", "json"])
def test_verbs_of_the_command_line_name_no_part(form):
    assert worker_name() not in Lines(form).format(record())

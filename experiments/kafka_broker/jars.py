"""Where a broker's jars come from: Maven Central, once a version, kept in a cache folder."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
VERSION = re.findall("<kafka.version>(.+)</kafka.version>", POM.read_text(encoding="utf-8"))[0]
"""The version of Apache Kafka that is run when no other is asked for."""
FETCH_TIMEOUT_S = 480.0
"""45 files of 43 MB take half a minute; a registry that hangs must not hang the tests."""


class JarsError(Exception):
    """The jars could not be had; the text says why."""


def what_is_missing() -> str:
    """Return the program that a broker wants and this machine lacks; empty when all is there."""
    return next((program for program in ("java", "mvn") if shutil.which(program) is None), "")


def fetch_jars(version: str = VERSION) -> Path:
    """Return the folder with the jars of that version, fetched with Maven when it is not there yet.

    Raises
    ------
    JarsError
        If Maven is missing, fails, or takes longer than ``FETCH_TIMEOUT_S``.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dfml"
    folder = cache / f"kafka-{version}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as unfinished:
            _copy_dependencies(version, Path(unfinished) / "jars")
            _move(Path(unfinished) / "jars", folder)
    return folder


def _copy_dependencies(version: str, folder: Path) -> None:
    if missing := what_is_missing():
        msg = f"a Kafka broker needs {missing}, which is not on PATH; on Debian: apt install openjdk-17-jre maven"
        raise JarsError(msg)
    sys.stderr.write(f"fetching the jars of Apache Kafka {version} (once, about half a minute) ...\n")
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(POM), f"-Dkafka.version={version}"]
    command += ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        msg = f"Maven did not fetch Apache Kafka {version} within {FETCH_TIMEOUT_S:g} s; is its repository reachable?"
        raise JarsError(msg) from error
    if done.returncode:
        msg = f"Maven could not fetch Apache Kafka {version}:\n{(done.stdout + done.stderr).strip()}"
        raise JarsError(msg)


def _move(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        # Another process was quicker: what it fetched is the same.
        if not folder.is_dir():
            raise

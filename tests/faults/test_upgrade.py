"""A newer major version behind the same address: another cluster, and an upgraded one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pglogical_cdc import FileOffsets, SlotGapError, SystemMismatchError
from pglogical_cdc.cli.embedded import EmbeddedServer
from tests.faults.consumer import FLAVOURS, Consumer
from tests.faults.load import Ledger, Load, create_tables
from tests.faults.proxy import Proxy
from tests.faults.servers import execute
from tests.reading import wait_until
from tests.servers import SETTINGS, Server, find_binaries, run_server

_NEWEST = "18"


def _prepare(server: Server, *slots: str) -> None:
    create_tables(server.dsn(), publication="pub")
    for slot in slots:
        execute(server, "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])


@pytest.mark.pg
@pytest.mark.versions(15)
@pytest.mark.fault(34)
def test_the_address_leads_to_a_newer_server_with_copied_data(
    private_server: Server, tally: Callable[..., None]
) -> None:
    old = private_server
    slots = [f"{kind}_{flavour}" for kind in ("raise", "trust") for flavour in FLAVOURS]
    _prepare(old, *slots)
    with contextlib.ExitStack() as stack:
        new = stack.enter_context(run_server(_NEWEST))
        proxy = stack.enter_context(Proxy(old.embedded.port))
        load = stack.enter_context(contextlib.closing(Load(old.dsn())))
        consumers = {}
        for kind in ("raise", "trust_slot"):
            for flavour in FLAVOURS:
                slot = f"{kind.partition('_')[0]}_{flavour}"
                consumers[slot] = stack.enter_context(
                    Consumer(
                        flavour,
                        proxy.dsn(old.dsn()),
                        slot,
                        Ledger(),
                        on_offset_mismatch=kind,  # the same options on both versions
                        origin="any",
                        binary=flavour == "async",
                        messages=True,
                    )
                )
        load.run(10)
        last = load.mark()
        for consumer in consumers.values():
            wait_until(lambda c=consumer, n=last: c.ledger.saw(n))  # type: ignore[misc]
            tally(
                "the same options on an older server", 1, consumer.ledger.verdict(load.expected())
            )

        _prepare(new, *slots)
        for flavour in FLAVOURS:
            consumers[f"trust_{flavour}"].ledger = Ledger()
        newer = stack.enter_context(contextlib.closing(Load(new.dsn(), seed=1)))
        newer.run(10)
        proxy.move("127.0.0.1", new.embedded.port)
        for flavour in FLAVOURS:
            error = consumers[f"raise_{flavour}"].failure()
            assert isinstance(error, SystemMismatchError), error
            trusting = consumers[f"trust_{flavour}"]
            trusting.finish(newer.mark())
            verdict = trusting.ledger.verdict(newer.expected())
            tally(f"a newer server behind the address, trust_slot, {flavour}", 1, verdict)
    tally("a newer server behind the address: said", len(FLAVOURS))


class _UpgradedServer(EmbeddedServer):
    """A server whose data are those of an older one, which is stopped, upgraded."""

    def __init__(self, binaries: Path, old: EmbeddedServer) -> None:
        super().__init__(binaries, settings=SETTINGS)
        self._old = old

    def _initialize(self) -> None:
        self._make_binaries_reachable()
        old = self._old
        steps = [
            [str(self._binaries / "bin" / "initdb"), "-D", str(self.data), "-U", "postgres"],
            [str(self._binaries / "bin" / "pg_upgrade"), "-U", "postgres"],
        ]
        steps[0] += ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        steps[0] += ["--no-data-checksums"]  # as in the old one
        steps[1] += ["-b", str(old._binaries / "bin"), "-B", str(self._binaries / "bin")]
        steps[1] += ["-d", str(old.data), "-D", str(self.data), "--no-sync"]
        steps[1] += ["-s", str(self.directory), "-p", str(old.port), "-P", str(self.port)]
        if self._spawn(steps[0]).wait() != 0:
            raise self._failure("initdb failed")
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("include = 'embedded.conf'\n")
        self._write_settings()
        if self._spawn(steps[1]).wait() != 0:
            raise self._failure("pg_upgrade failed")

    def _spawn(self, command: list[str]) -> Any:
        libraries = f"LD_LIBRARY_PATH={self._binaries / 'lib'}"
        return super()._spawn(["/usr/bin/env", libraries, *command])


@pytest.mark.pg(18)
@pytest.mark.slow
@pytest.mark.fault(34)
def test_pg_upgrade_takes_the_slots_along(
    server_choice: str, tmp_path: Path, tally: Callable[..., None]
) -> None:
    slots = [f"{kind}_{flavour}" for kind in ("raise", "trust", "stored") for flavour in FLAVOURS]
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(run_server("17"))
        _prepare(old, *slots)
        proxy = stack.enter_context(Proxy(old.embedded.port))
        dsn = proxy.dsn(old.dsn())
        load = stack.enter_context(contextlib.closing(Load(dsn)))

        def consume(slot: str, ledger: Ledger, **options: Any) -> Consumer:
            flavour = FLAVOURS[slot.endswith("async")]
            if slot.startswith("stored"):
                options["offsets"] = FileOffsets(tmp_path / slot)
            made = Consumer(flavour, dsn, slot, ledger, **options)
            return stack.enter_context(made)

        consumers = {}
        for slot in slots:
            policy = "trust_slot" if slot.startswith("trust") else "raise"
            consumers[slot] = consume(slot, Ledger(), on_offset_mismatch=policy)
        load.run(20)
        last = load.mark()
        for consumer in consumers.values():
            wait_until(lambda c=consumer, n=last: c.ledger.saw(n))  # type: ignore[misc]
        # It waits until the readers have confirmed all; without that pg_upgrade refuses.
        old.embedded.stop("fast")
        embedded = stack.enter_context(_UpgradedServer(find_binaries(server_choice), old.embedded))
        proxy.move("127.0.0.1", embedded.port)
        load.run(20)
        last = load.mark()
        for flavour in FLAVOURS:
            for kind in ("raise", "stored"):
                error = consumers[f"{kind}_{flavour}"].failure()
                assert isinstance(error, SystemMismatchError), error
            slot = f"stored_{flavour}"
            ledger = consumers[slot].ledger
            ledger.begin_again()
            # The slot is a new one, beyond the stored position, that has all that was to come.
            again = consume(slot, ledger, on_offset_mismatch="trust_offset")
            assert isinstance(again.failure(), SlotGapError)
            trusting = consume(slot, ledger, on_offset_mismatch="trust_slot")
            trusting.finish(last)
            verdict = ledger.verdict(load.expected())
            assert verdict.redelivered == 0
            tally(f"pg_upgrade, a new process, trust_slot, {flavour}", 1, verdict)
            consumers[f"trust_{flavour}"].finish(last)
            verdict = consumers[f"trust_{flavour}"].ledger.verdict(load.expected())
            tally(f"pg_upgrade under a reader, trust_slot, {flavour}", 1, verdict)

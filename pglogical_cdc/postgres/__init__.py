"""One server: connections, commands, catalog, types. The SQL lives here."""

from pglogical_cdc.postgres.asynchronous import Asynchronous
from pglogical_cdc.postgres.blocking import Blocking, converse, run
from pglogical_cdc.postgres.catalog import one_table, published_tables
from pglogical_cdc.postgres.connection import (
    connect,
    connect_beside,
    connect_plain,
    parameters_beside,
)
from pglogical_cdc.postgres.conversation import Ask, Conversation, Parametrised, Rows, exchange
from pglogical_cdc.postgres.copy_both import CopyBoth, CopyBothEnded
from pglogical_cdc.postgres.copy_out import CopyOut
from pglogical_cdc.postgres.diagnosis import diagnose, diagnose_connect, publication_warning
from pglogical_cdc.postgres.exported_slots import (
    ExportedSlot,
    export_slot,
    permanent_slot,
    set_failover,
)
from pglogical_cdc.postgres.flavour import AnyConnection, Flavour, Stopped, Ticker
from pglogical_cdc.postgres.loaders import PsycopgLoaders
from pglogical_cdc.postgres.options import (
    publication_names,
    qualified_name,
    quote_identifier,
    slot_name,
    start_replication,
)
from pglogical_cdc.postgres.parameters import SESSION_SETTINGS, Conninfo, Parameters, parameters
from pglogical_cdc.postgres.publications import usable_publications
from pglogical_cdc.postgres.reselect import reselected, unsent_values
from pglogical_cdc.postgres.server import (
    Server,
    current_lsn,
    flush_wal,
    identify,
    set_client_encoding,
    timeline_ends,
    written_timeline,
)
from pglogical_cdc.postgres.slots import Slot, create_slot, describe_slot, usable_slot
from pglogical_cdc.postgres.watermarks import (
    WATERMARK_PREFIX,
    RunningTransactions,
    high_watermark,
    low_watermark,
    running_transactions,
    unfinished,
    who_runs,
)

__all__ = (
    "SESSION_SETTINGS",
    "WATERMARK_PREFIX",
    "AnyConnection",
    "Ask",
    "Asynchronous",
    "Blocking",
    "Conninfo",
    "Conversation",
    "CopyBoth",
    "CopyBothEnded",
    "CopyOut",
    "ExportedSlot",
    "Flavour",
    "Parameters",
    "Parametrised",
    "PsycopgLoaders",
    "Rows",
    "RunningTransactions",
    "Server",
    "Slot",
    "Stopped",
    "Ticker",
    "connect",
    "connect_beside",
    "connect_plain",
    "converse",
    "create_slot",
    "current_lsn",
    "describe_slot",
    "diagnose",
    "diagnose_connect",
    "exchange",
    "export_slot",
    "flush_wal",
    "high_watermark",
    "identify",
    "low_watermark",
    "one_table",
    "parameters",
    "parameters_beside",
    "permanent_slot",
    "publication_names",
    "publication_warning",
    "published_tables",
    "qualified_name",
    "quote_identifier",
    "reselected",
    "run",
    "running_transactions",
    "set_client_encoding",
    "set_failover",
    "slot_name",
    "start_replication",
    "timeline_ends",
    "written_timeline",
    "unfinished",
    "who_runs",
    "unsent_values",
    "usable_publications",
    "usable_slot",
)

"""Pipelines: from a reader through transforms and a formatter to a sink, and back to the reader.

They own acknowledgement. A position is acknowledged only after a `flush` of the sink that covers
it, so that whatever breaks, nothing is lost: it comes again.
"""

from pglogical_cdc.pipeline.asynchronous import AsyncChangeSource, AsyncPipeline
from pglogical_cdc.pipeline.blocking import ChangeSource, Pipeline
from pglogical_cdc.pipeline.movement import Transform

__all__ = ("AsyncChangeSource", "AsyncPipeline", "ChangeSource", "Pipeline", "Transform")

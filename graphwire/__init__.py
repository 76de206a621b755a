"""Graphwire: run graphs, and watch and steer them while they run.

The library. ``app`` is the service around it.
"""

from graphwire.engine.context import Context
from graphwire.engine.guards import Guards
from graphwire.engine.results import Goto, Result
from graphwire.errors import GraphwireError, InputError, NodeError
from graphwire.graphs.builder import Graph
from graphwire.graphs.definition import GraphDefinition
from graphwire.graphs.resilience import CircuitBreaker, Quarantine, Retry
from graphwire.live_run import Finished, LiveRun, start_live
from graphwire.local import prepare, run, run_sync
from graphwire.values import DELETE

__all__ = [
    "DELETE",
    "CircuitBreaker",
    "Context",
    "Finished",
    "Goto",
    "Graph",
    "GraphDefinition",
    "GraphwireError",
    "Guards",
    "InputError",
    "LiveRun",
    "NodeError",
    "Quarantine",
    "Result",
    "Retry",
    "prepare",
    "run",
    "run_sync",
    "start_live",
]

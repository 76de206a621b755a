"""Where events go besides the readers: a log, a file, a list, a function; and the port for others.

A sink is told of every event that it wants, in order for each execution, and never makes an execution wait.
"""

from graphwire.sinks.callback import callback
from graphwire.sinks.file import NdjsonFile
from graphwire.sinks.log import Log
from graphwire.sinks.memory import Memory
from graphwire.sinks.port import OnlySomeTakenError, Sink, SinkReport, SinkTrouble
from graphwire.sinks.sinks import Sinks

__all__ = [
    "Log",
    "Memory",
    "NdjsonFile",
    "OnlySomeTakenError",
    "Sink",
    "SinkReport",
    "SinkTrouble",
    "Sinks",
    "callback",
]

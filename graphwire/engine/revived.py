"""One execution, alive again: an earlier process began it."""

from functools import partial

from graphwire.engine.commands import Command
from graphwire.engine.ports import Claim
from graphwire.engine.records import Recorder
from graphwire.engine.runner import Runner
from graphwire.engine.taking_up import Left, tell_restored
from graphwire.errors import GraphwireError

GOING_ON = frozenset({"resume", "step", "input"})
"""Commands after which nodes run."""


class Revived(Runner):
    """A runner that goes on with what an earlier process left: ``take_up`` comes instead of ``accept``."""

    _refuses: GraphwireError | None = None

    def take_up(self, left: Left) -> None:
        """Go on, at once, with what an earlier process left; ``run`` comes next, instead of ``accept``."""
        restoring = left.restoring
        made = self._lanes.execution = self.execution = restoring.execution
        self._begun_ns = left.began_ns
        self._refuses = left.refuses
        was_paused = made.status == "paused"
        recorder = self._recorder() or Recorder(self._outbox, self.hub)
        tell_restored(left, self.log, self._report, recorder)
        if made.status == "paused" and not was_paused:
            self.became("paused")
        elif was_paused:
            self._told, self._is_paused = "paused", True
        elapsed_ns = self.log.elapsed_ns()
        self._lanes.call(
            partial(
                restoring.go_on,
                self._lanes,
                self._report,
                recorder,
                self,
                self._own_gate(),
                elapsed_ns=elapsed_ns - left.began_ns,
                zero_ns=made.now_ns() - elapsed_ns,
                idle_ns=elapsed_ns - left.last_mono_ns,
                active_ns=left.active_ns,
                guards=self._guards,
            )
        )

    def _go(self) -> None:
        """It goes on already."""

    async def command(self, command: Command, by: str | None = None, *, claim: Claim | None = None) -> int:
        """See ``Runner.command``.

        Raises:
            GraphwireError: Nodes would run, and may not.
        """
        if self._refuses is not None and command.name in GOING_ON:
            raise self._refuses
        return await super().command(command, by, claim=claim)

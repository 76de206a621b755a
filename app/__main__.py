"""The command ``graphwire``, also as ``python -m app``."""

import os
import signal

_INTERRUPTED = 130


def main() -> None:
    """Run the command. Ctrl-C while it is still being loaded ends it quietly, with the status of any other one."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # a shell has what runs in the background ignore it
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(_INTERRUPTED))
    from graphwire.cli.main import main as run_command  # takes half a second

    signal.signal(signal.SIGINT, before)
    run_command()


if __name__ == "__main__":
    main()

"""``python -m app``: the same as ``graphwire``."""

from graphwire.cli.main import main

if __name__ == "__main__":
    main()

"""The command ``graphwire``: what needs no server. The service adds its commands by the entry point."""

"""What the service adds to the command ``graphwire``. Light: what a command needs is imported when it runs."""

"""Who may ask, and in whose name: keys, hosts and origins. It decides; what refuses is in ``app.api``."""

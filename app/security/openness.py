"""Whether the service may listen where it is told to."""

from app.security.hosts import is_loopback


def refusal(host: str, *, has_key: bool, is_forced: bool) -> str | None:
    """Return why the service must not start, and what to do; None where it may."""
    if has_key or is_forced or is_loopback(host):
        return None
    return (
        f"Other machines can reach {host or 'every address'}, and no key is set: anybody could run graphs here.\n"
        "Set a key:        export GRAPHWIRE_API_KEY=$(openssl rand -hex 32)\n"
        "or stay private:  GRAPHWIRE_HOST=127.0.0.1\n"
        "or, where something in front of the service asks who is there:  GRAPHWIRE_ALLOW_OPEN=1"
    )

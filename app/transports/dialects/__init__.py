"""The same events in other vocabularies. A dialect is a pure function from an event to frames: no clock, no I/O."""

"""What an operator runs on a device before it ships: ``laclet test``."""

"""Captures: where they come from, pcapng files, secrets taken out, and the ladder of a set-up."""

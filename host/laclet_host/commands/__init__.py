"""The commands: a module for each kind, loaded when one of its commands is wanted (see ``laclet_host.cli``)."""

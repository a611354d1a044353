"""L2TP and PPP at the customer's premises."""

__version__ = "0.1.0"
BUILD = ""  # names the sources of a build for boards: mpy.build() fills it in

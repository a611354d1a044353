"""L2TP and PPP at the customer's premises."""

__version__ = "0.1.0"

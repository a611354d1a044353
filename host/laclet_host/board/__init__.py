"""Boards as the workstation sees them: their code compiled, and one that is virtual."""

"""Devices at a port: found, opened, asked, flashed, and given their files."""

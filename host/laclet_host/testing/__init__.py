"""Devices tested before they ship: fixtures for pytest, the suite that ``laclet test`` runs, and its reports."""

"""Real peers for the tests and benches: a laboratory of namespaces and user-mode Linux guests. See docs/testing.md."""

"""Data planes of the Linux shell: the ways an established session's IP packets can go without visiting the core."""

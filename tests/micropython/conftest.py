collect_ignore = ["mcu"]  # for MicroPython only: test_core runs them

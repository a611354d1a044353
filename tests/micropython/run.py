"""Run core test files: ``micropython -X heapsize=128K run.py FILE…``; exits 1 on a failure, or when no test ran.

``FILE::TEST`` runs one test.

The packages come from a ROM image when the suite runs this, and from the sources of this checkout otherwise.
"""

import gc
import json
import sys
import time

ASKS = "check this: "


def ask(tree, on_board=False):
    """``(config, problems)`` as node.config.check() has it, of who runs us: the schema is as large as a role."""
    from laclet_mcu import forget
    from laclet_mcu.store import restore

    print(ASKS, end="")
    json.dump([tree, on_board], sys.stdout)
    print()
    config, problems = json.loads(sys.stdin.readline())
    config = restore(config)
    forget("laclet_mcu", "store")
    return config, problems


def split(path):
    """``("folder", "name without suffix")`` of a path."""
    folder, slash, name = path.rpartition("/")
    return folder if slash else ".", name.rsplit(".", 1)[0]


def run_file(path):
    """Run every ``test_*`` function of one file in the order of their names; returns (passed, failed)."""
    path, _, only = path.partition("::")
    folder, name = split(path)
    sys.path.insert(0, folder)
    module = __import__(name)
    passed = failed = 0
    for test in sorted(dir(module)):
        function = getattr(module, test)
        if not test.startswith("test_") or not callable(function) or only not in ("", test):
            continue
        gc.collect()
        started = time.ticks_ms()
        try:
            function()
        except Exception as error:
            failed += 1
            print(f"{name}.{test} FAIL")
            sys.print_exception(error)
        else:
            passed += 1
            print(f"{name}.{test} ok {time.ticks_diff(time.ticks_ms(), started)} ms")
    return passed, failed


def main(argv):
    """Run the files that the command line names; ends the program."""
    gc.threshold(4096)  # little garbage between what stays: a board's heap must not be torn by loading tests
    try:
        import laclet  # noqa: F401
    except ImportError:
        sys.path.insert(0, split(__file__)[0] + "/../../firmware")
    passed = failed = 0
    for path in argv[1:]:
        try:
            ok, bad = run_file(path)
        except Exception as error:  # the import itself: one bad file must not hide the others
            print(f"{path} FAIL")
            sys.print_exception(error)
            ok, bad = 0, 1
        passed += ok
        failed += bad
    gc.collect()
    print(f"{passed} passed, {failed} failed, {gc.mem_alloc()} bytes of heap in use")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main(sys.argv)

# laclet: Ctrl-C now, or at any time later, gives the prompt; Enter gives the console.
import time

print("laclet starts; Ctrl-C for the prompt, Enter for the console")
time.sleep(1)

try:
    from laclet_mcu.start import start

    start()
except Exception as error:
    import sys

    if "laclet_slots" not in sys.modules:
        raise
    sys.modules["laclet_slots"].failed(error)

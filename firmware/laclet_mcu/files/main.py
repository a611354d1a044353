# laclet: Ctrl-C now, or at any time later, gives the prompt; Enter gives the console.
import time

print("laclet starts; Ctrl-C for the prompt, Enter for the console")
time.sleep(1)

from laclet_mcu.start import start  # noqa: E402

start()

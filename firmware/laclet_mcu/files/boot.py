# laclet: code that is loaded early stays together, and the heap in one piece.
import gc

gc.threshold(2048)

try:
    import laclet_slots

    laclet_slots.choose()
except ImportError:  # a board without slots
    pass

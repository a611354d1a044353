# laclet: code that is loaded early stays together, and the heap in one piece.
import gc

gc.threshold(2048)

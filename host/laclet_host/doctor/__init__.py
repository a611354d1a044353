"""Why a tunnel does not come up: a trial call by the core itself, and what stands in its way below and above."""

"""One job, one isolated process: what the child does, and who watches it."""

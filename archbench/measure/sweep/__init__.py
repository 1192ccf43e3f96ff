"""Many jobs: queues, the places they run at, and a Ray cluster as one of them."""

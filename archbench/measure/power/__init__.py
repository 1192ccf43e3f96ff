"""Power and energy: the meters, what they read, and what follows from it."""

"""The networks, and nothing about measuring them."""

"""How fast a network could be on a device: its peaks, and the bounds that follow from them."""

"""What can be built: entries, names, plug-ins, resolution. Torch-free."""

"""Programs that torch exported to files, PATH.pt2: read without torch, and loaded as tensors and a
graph of torch's operators, so that no code of whoever made the file runs.
"""

"""The backbones: a family is two files side by side, its entries (`.toml`) and its network
(`.py`).
"""

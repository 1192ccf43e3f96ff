"""Modules that were handed over in Python, `archbench.measure(module)`, named module:CLASS@HASH by
a hash of their structure. They travel to the process that measures them in a folder: as an export,
or as the file and the class that make them anew, with their weights.
"""

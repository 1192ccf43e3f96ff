"""What must be measured: time and memory, in one isolated worker process a job. Torch is loaded in
the worker alone.
"""

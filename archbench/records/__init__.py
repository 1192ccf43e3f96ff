"""What was asked, counted and measured: the record's schema and the store, the only reader and
writer of results.
"""

from archbench.records.schema import SCHEMA_VERSION, Cause, Metric, Record
from archbench.records.store import DEFAULT_FOLDER, Store

__all__ = ["DEFAULT_FOLDER", "SCHEMA_VERSION", "Cause", "Metric", "Record", "Store"]

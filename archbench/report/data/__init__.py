"""Records as data: rows, columns, configurations, comparability, verdicts."""

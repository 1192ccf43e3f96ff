"""Records in, tables and figures out. Builds no network, measures nothing."""

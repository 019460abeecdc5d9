"""Pure calculations: values, the hour and the DuckDB connection are passed in."""

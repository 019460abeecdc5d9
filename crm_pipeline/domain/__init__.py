"""Pure calculations: values in, values out; no Dagster, no database, no clock."""

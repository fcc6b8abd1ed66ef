"""Every parameter: one row each in `table`, checked by its `kind`, resolved in `settings`."""

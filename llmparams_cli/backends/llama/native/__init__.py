"""The C library: its functions, handles, log and crashes."""

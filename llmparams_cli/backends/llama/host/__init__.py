"""This machine: processors, memory, devices, the fast paths that work, and where a model goes."""

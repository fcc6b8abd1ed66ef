"""How fast models read and write on this machine, beside what the machine could do."""

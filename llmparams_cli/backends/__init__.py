"""Models that answer requests: llama.cpp, and a scripted one."""

"""llama.cpp through its C API: the only room that knows of handles and pointers.

native    the C library: loading it, its log, its crashes; model and context
host      this machine: processors, memory, devices, fast paths, where a model goes
sampling  from logits to a token: the chain of samplers, penalties, grammars
decoding  from prompts to answers: the decode loop, its slots, and what it records
tracing   recorded logits, drawn from again: what stages and settings did
"""

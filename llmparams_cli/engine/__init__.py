"""llama.cpp through its C API: the only room that knows of handles and pointers.

library    finds and loads the shared library, keeps its log
crash      turns a signal raised inside it into one line and an exit code
interrupt  Ctrl-C and the time limit, also in the middle of a C call
machine    processors and memory that this process may really use
gpu        which devices there are, and how many layers they take
weights    where the CPU keeps quantised weights: the library's fast paths
probe      do those fast paths work on this processor? Tries, remembers, falls back
trial      the child process in which they are tried
llama      model and context: the owners of C handles
placement  context size, GPU layers and weight placement for a model on this machine
penalties  repetition, frequency and presence penalties as a sampler stage
chain      the sampler of one sequence, from resolved settings
grammar    constraints on the output, as llama.cpp's grammar machine follows them
json_schema, regex, gbnf   JSON Schemas and their patterns in GBNF
chat       messages to prompt tokens, through the model's template
overflow   a prompt that does not fit: refused, or shortened by choice
text       tokens to text: UTF-8 and stop sequences across token boundaries
decode     the loop: N sequences, one batch a step
generate   a request in, events out
"""

"""What the user sees: every way to print a generation, its settings, a parameter.

choose         picks the renderer, once, from the format, the terminal and the colours
plain          a pipe: the answer, exactly
terminal       a person: prompt, answer and statistics, or every token in its colour
json_output    a script: one object, or one event a line
settings_view  --show-params: every value, where it came from and what it overrode
params         `llmparams params`: the list by group, one parameter in full
doctor         `llmparams doctor`: the checks, line by line or as JSON
progress       a bar on stderr while a model loads or a prompt is read
summary        the statistics of one generation, in words
safe           what a model or a file says, made harmless for a terminal
"""

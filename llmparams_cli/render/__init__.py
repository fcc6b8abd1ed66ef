"""What users see: every way to print an answer, its settings, a parameter, a comparison.

choose          picks the renderer, once, from the output style, the terminal and the colours
plain           a pipe: the answer, exactly
terminal        a person: prompt, answer and statistics, or every token in its colour
json_output     a script: one object, or one event a line
summary         the statistics of one answer, in words
settings_view   --show-params: every value, where it came from and what it overrode
chat            a conversation: answers, what they cost, the state of things
explanation/    explain, in text and as JSON
comparison/     compare, in text, as JSON and as CSV
html/, plots/   pages and pictures of both; outputs writes them
presets         the list of presets, one of them, differences, problems; preset_tests: results
params          the list by group, one parameter in full
log, replay     receipts: the last runs, one in full, one run again
doctor          the checks, line by line or as JSON
progress        a bar on stderr while a model loads or a prompt is read
bars, styles    small pictures in text; colours and weights
"""

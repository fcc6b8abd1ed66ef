"""What users see: every way to print an answer, its settings, a parameter, a comparison.

choose          picks the renderer, once, from the output style, the terminal and the colours
plain           for pipes: the answer alone, unchanged
terminal        for people: prompt, answer and statistics, or every token in its colour
thoughts        what a model thinks before it answers: behind a bar, or only counted
json_output     for scripts: one object, or one event per line
summary         the statistics of one answer, in words; choices: what it was chosen from, with bars
settings_view   --show-params: every value, where it came from and what it overrode
chat            a conversation and the state of its context; chat_answer: one answer, its cost
explanation/    explain, in text and as JSON
comparison/     compare, in text, as JSON and as CSV
inspect/        a model's inside: overview, memory, weights, tokens, two models
html/, plots/   pages and plots of these; outputs writes the files
presets         the list of presets, one of them, differences, problems; preset_tests: results
junit           results for CI, as XML
params          the list by group, one parameter in full
log, replay     receipts: the last runs, one in full, one run again
doctor          the checks, line by line or as JSON
progress        a bar on stderr while a model loads or a prompt is read
view            lines of a report: styled, wrapped, in what the stream can encode
bars, styles    bars made of characters; colours and bold text
"""

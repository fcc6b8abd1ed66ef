"""Show that a change of the code changes nothing that a user sees.

    python tools/same_output.py OTHER_CHECKOUT              every command of COMMANDS in both
    python tools/same_output.py OTHER_CHECKOUT chat log     only those that contain a word
    python tools/same_output.py OTHER_CHECKOUT --model M    a real model's answers, too

Each line of COMMANDS is a line of bash, run once with this checkout's code and once with the
other's, each time in a fresh directory that holds FILES. Standard output, standard error (which
gets the exit codes) and every file that was written must be equal byte by byte, but for what
NORMALISED names. The exit code is 1 when something differs.

Where texts part, and how near the two candidates were to each other there, is told beside the
difference, since rounding alone decides a near-tie. Where nothing but decimals differs (and what
is made from them: bars, the space around numbers, checksums), that is told too, and
--tolerance X lets it pass up to X. A file whose format has changed on purpose would hide all
else: --except 'state/log/*' compares the rest.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
PATIENCE = 300  # seconds for one line
SHOWN = 24  # lines of a difference
WIDTH = 160  # characters of each of them

# The program in a pipe and on a terminal; its exit code goes to the end of standard error.
PROGRAM = """
llmparams() {
  "$PYTHON" -m llmparams_cli "$@"
  local code=$?
  echo "[exit code $code]" >&2
  return $code
}
terminal() {
  "$PYTHON" -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)' \
    env TERM=xterm-256color COLUMNS=90 "$PYTHON" -m llmparams_cli "$@"
  echo "[exit code $?]" >&2
}
"""

NUMBER = r"-?\d[\d.]*(?:e[+-]?\d+)?"
DATE = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)?"
# What two runs of the same code may differ in: name, pattern, what stands there instead.
NORMALISED = [
    ("run's id in the log", r"\d{8}T\d{9}Z-[0-9a-f]{6}", "RUN"),
    ("date and time", DATE, "DATE"),
    ("seconds and speeds in JSON", rf'("\w+_(?:s|per_s)": ?)(?:{NUMBER}|null)', r"\g<1>0"),
    ("speed in text", rf"{NUMBER} tokens/s", "SPEED tokens/s"),
    ("seconds in text", rf"\b(first token|load) {NUMBER} s\b", r"\1 TIME s"),
    ("name of a new chat", r"\b\d{4}-\d\d-\d\d-\d{6}\b", "CHAT"),
    ("seconds of presets' tests", rf'(\b(?:seconds"|time)(?:: |=")){NUMBER}', r"\g<1>0"),
    ("free memory", r"memory is left for \d+ tokens", "memory is left for MANY tokens"),
    ("times in compare's CSV", rf",{NUMBER},{NUMBER},(?=[^,\n]*$|\"[^\"\n]*\"$)", ",TIME,SPEED,"),
]
TIMED = ("first_token_s", "tokens_per_s")  # columns of compare's table; their numbers, too
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
DECIMAL = re.compile(r"(\d+\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+|\d+(?=%))(%?)")
FROM_DECIMALS = re.compile(r'[█▉▊▋▌▍▎▏▁-▇]+|"[0-9a-f]{16}"| +')

LONG = "The quick brown fox jumps over the lazy dog while the old man looks at the sea. "
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
TESTED = """\
description: Two sentences.
system: Be brief.
parameters: {temperature: 0.5, max_tokens: 12}
tests:
  - name: it says hello
    input: hi
    seeds: 3
    at_least: 2
    expect:
      matches: "[A-Z]"
      tokens: {max: 12}
      first: {text: Hello, min: 0.01}
  - name: it is about foxes
    input: hi
    expect: {contains: [fox]}
"""
FILES = {
    "presets/terse.yaml": "description: Brief.\nparameters: {temperature: 0.3, max_tokens: 9}\n",
    "presets/loud.yaml": "extends: terse\nsystem: SHOUT.\nparameters:\n  top_k: 7\n  seed: 6\n",
    "presets/calm.yaml": "extends: precise\nparameters: {seed: 5}\n",
    "presets/ask.yaml": 'prompt: "What is {{ input }} in {{ place }}?"\n'
    "variables: {place: sampling}\nparameters: {temperature: 0}\n",
    "presets/tested.yaml": TESTED,
    "slip.yaml": "parameters:\n  temprature: 0.2\n  top_p: 95\n",
    "circle.yaml": "extends: ./circle.yaml\n",
    "llmparams.yaml": "parameters: {min_p: 0.04, seed: 11}\npresets:\n  inner:\n"
    "    description: Within a file.\n    parameters: {top_p: 0.7}\n",
    "schema.json": json.dumps(SCHEMA),
    "answer.grammar": 'root ::= "yes" | "no"\n',
    "prompts.txt": "Tell me a story.\nWhat is top-k?\nhi\n",
    "prompts.jsonl": '{"prompt": "hi"}\n{"prompt": "What is top-p?", "id": "b"}\n',
    "bad.jsonl": '{"prompt": "hi"}\n{"no": 1}\n',
    "target.txt": "Once upon a time there was a fox.",
    "note.txt": "A fox and a hen lived by the river.\n",
    "long.txt": LONG * 3,
    "huge.txt": LONG * 120,
    "hf.json": '{"do_sample": true, "temperature": 0.6, "top_k": 20, "eta_cutoff": 0.1}',
    "latin.txt": "caf\u00e9",
}

GENERATE = [
    'llmparams generate "Once upon a time" --seed 7 -n 40',
    'llmparams generate "Once upon a time" --seed 7 -n 20 --quiet',
    'llmparams generate "What is top-k?" --temperature 0 --json',
    'llmparams generate "Tell me a story" --seed 3 -n 12 --stream-json --logprobs 3',
    'llmparams generate "Tell me a story" --seed 3 -n 12 --json --logprobs 0 --temperature 1.5',
    'llmparams generate "hi" -p creative-chat --temperature 0.3 --show-params',
    'llmparams generate "hi" --temperature 0 --top-k 5 --show-params --json',
    'LLMPARAMS_TOP_P=0.5 llmparams generate "hi" -p loud --show-params',
    'llmparams generate "Tell me a story" --seed 4 -n 30 --color always',
    'llmparams generate "Tell me a story" --seed 4 -n 30 --color always --color-by probability',
    'llmparams generate "Tell me a story" --seed 4 -n 30 --color always --color-by entropy',
    'llmparams generate "Tell me a story" --seed 4 -n 80 --stop " was" --stop "there was" --json',
    'llmparams generate "Tell me a story" --seed 4 -n 80 --stop ". " --stop "."',
    'llmparams generate "Is the sky blue?" --grammar @answer.grammar --temperature 0',
    'llmparams generate "Peter is 42." -p json-extract --json-schema @schema.json --json',
    'llmparams generate "Peter is 42." --json-schema \'{"enum": [1, 2]}\' --seed 2 --quiet',
    'llmparams generate "Tell me a story" --seed 5 -n 40 --mirostat 2 --mirostat-tau 3',
    'llmparams generate "Tell me a story" --seed 5 -n 40 --xtc-probability 0.5'
    " --dynatemp-range 0.4",
    'llmparams generate "Tell me a story" --seed 5 -n 40 --repeat-penalty 1.2 --dry-multiplier 0.8'
    " --frequency-penalty 0.2 --presence-penalty 0.1 --penalize-prompt",
    'llmparams generate "Tell me a story" --seed 5 -n 40 --repeat-penalty 1.2'
    " --repeat-penalty-growth exponential --typical-p 0.9 --top-n-sigma 1.5",
    'llmparams generate "Tell me a story" --seed 5 -n 40 --adaptive-p-target 0.5 --min-p 0.1',
    'llmparams generate "Tell me a story" --seed 5 -n 30 --sampler-order temperature,top_k,top_p',
    'llmparams generate "Tell me" --seed 5 -n 20 --logit-bias " a=-100" --ignore-eos --json',
    'llmparams generate "Tell me a story" --seed 5 -n 25 --stats full',
    'llmparams generate "Tell me a story" --seed 5 -n 9 -v 2>&1 | grep ^llmparams',
    'llmparams generate "" --raw -n 5 --seed 1 < /dev/null',
    'llmparams generate " bear bear" --raw -n 12 --seed 1 --stream-json',
    "cat note.txt | llmparams generate --seed 2 -n 20",
    'cat note.txt | llmparams generate "Summarise:" --file long.txt --seed 2 -n 20 --json',
    "cat latin.txt | iconv -t latin1 | llmparams generate",
    'llmparams generate "こんにちは 🦊" --seed 2 -n 24 --json --logprobs 1',
    "llmparams generate top-k -p ask --var place=rhymes --json",
    "llmparams generate top-k -p ask --var nobody=1",
    'llmparams generate hi -p loud -p terse --system "Be {brief}." --seed 1',
    "llmparams generate --file huge.txt",
    "llmparams generate --file huge.txt --overflow truncate-start --seed 1 -n 8 --json",
    "llmparams generate --file huge.txt --overflow truncate-middle --seed 1 -n 8",
    "llmparams generate --file long.txt -c 80 --seed 1",
    "llmparams generate --file long.txt -c 160 --temperature 0 --json",
    "llmparams generate --file long.txt -n 30 --seed 9 --json --logprobs 2",
    "llmparams generate --file long.txt -n 30 --seed 9 -b 32 -ub 16",
    "llmparams generate --file long.txt -n 12 --seed 9 -ctk q8_0 -ctv q8_0 -fa on --no-mmap",
    'llmparams generate "Tell me a story" -n 8 --seed 1 --fail-on max-tokens',
    "llmparams generate hi -n 8 --seed 1 --fail-on nonsense",
    "llmparams generate hi --temprature 1",
    "llmparams generate hi --temperature -1",
    "llmparams generate hi --temperature 1 --grammar x --json-schema {}",
    'llmparams generate hi --grammar "root ::= ("',
    'llmparams generate hi --json-schema \'{"type": "nonsense"}\'',
    "llmparams generate hi -m none.gguf",
    "llmparams generate hi -m note.txt",
    "llmparams generate hi --lora none.gguf",
    "llmparams generate hi -p legal-sumary",
    "llmparams generate hi -p ./slip.yaml",
    "llmparams generate hi -c 100000000",
    "llmparams generate hi --json --stream-json",
    "llmparams generate hi --file none.txt",
    "llmparams generate < /dev/null",
    "LLMPARAMS_TOP_K=x llmparams generate hi",
    'llmparams generate "Tell me a story" --seed 3 -n 60 | head -c 20',
]

CHAT = [
    'printf \'%s\\n\' "What is top-k?" "/set temperature 0" "What is top-p?" /tokens'
    " | llmparams chat --seed 1 --no-save",
    "printf '%s\\n' hi /why '/why all' '/why 3' | llmparams chat --seed 1 -n 9",
    "printf '%s\\n' hi '/set context 300' hi '/set top_k 9' hi /params"
    " | llmparams chat --seed 1 -n 9",
    "printf '%s\\n' 'Tell me a story.' /retry /undo hi '/edit hello' /clear hi /tokens"
    " | llmparams chat --temperature 1.5 -n 20 --seed 4",
    "printf '%s\\n' '/system Be brief.' hi '/preset legal-summary' '/params top_p' /preset"
    " '/preset -' /system '/unset system' | llmparams chat -n 9 --seed 2",
    "printf '%s\\n' hi '/export md' '/export json' '/export md a.md' '/save b' hi"
    " '/export json b.json' '/load nobody' | llmparams chat -n 9 --seed 2 --session a",
    "printf '%s\\n' hi | llmparams chat -n 9 --seed 2;"
    " printf '%s\\n' 'and then?' /tokens | llmparams chat --continue --temperature 0.2",
    "printf '%s\\n' hi | llmparams chat -n 9 --session one -p terse --seed 1;"
    " printf '%s\\n' ho | llmparams chat -n 9 --session two -m none.gguf;"
    " llmparams chat list; printf '%s\\n' '/load one' ho /why /params"
    " | llmparams chat --session three --seed 8 -n 9",
    "for i in 1 2 3 4 5 6; do echo 'Tell me a story.'; done | llmparams chat -c 160 -n 40 --seed 1",
    "for i in 1 2 3 4 5 6; do echo 'Tell me a story.'; done"
    " | llmparams chat -c 160 -n 40 --seed 1 --when-full summarize",
    "for i in 1 2 3 4 5 6; do echo 'Tell me a story.'; done"
    " | llmparams chat -c 160 -n 40 --seed 1 --when-full refuse",
    "head -c 3000 huge.txt | llmparams chat -c 200",
    "printf '%s\\n' top-k '/preset ask place=verses' top-p | llmparams chat -p ask -n 12",
    "printf '%s\\n' hi hi | llmparams chat --color always --color-by entropy -n 12 --seed 3",
    "printf '%s\\n' /help | llmparams chat --no-save",
    "printf '%s\\n' 'one \\' two '//three' | llmparams chat -n 9 --seed 1",
    "printf '%s\\n' '/set temprature 1' | llmparams chat",
    "printf '%s\\n' '/xyzzy' | llmparams chat",
    "printf '%s\\n' /why | llmparams chat",
    "printf 'caf\\xe9\\n' | llmparams chat",
    "llmparams chat list",
    "llmparams chat --continue < /dev/null",
    "llmparams chat --session ../x < /dev/null",
]

EXPLAIN = [
    'llmparams explain "Tell me a story about a fox." --seed 5 -n 14',
    'llmparams explain "Tell me a story about a fox." --seed 5 -n 14 --color always',
    'COLUMNS=50 llmparams explain "Tell me a story about a fox." --seed 5 -n 14 --at 3',
    'llmparams explain "Tell me a story about a fox." --seed 5 -n 10 --at 8 --top 4',
    'llmparams explain "Tell me a story about a fox." --seed 5 -n 10 --at 8 --color always',
    'llmparams explain "Tell me a story about a fox." --seed 5 -n 8 --json',
    'llmparams explain " bear bear bear fox" --raw --penalize-prompt --frequency-penalty 0.2'
    " --repeat-penalty 1.1 --repeat-penalty-growth exponential -n 1 --at 1 --seed 1",
    'llmparams explain "Tell me a story" --seed 5 -n 6 --mirostat 2 --at 2 --json',
    'llmparams explain "Tell me a story" --seed 5 -n 9 --xtc-probability 0.7 --at 2',
    'llmparams explain "Tell me a story about a fox." --seed 5 -n 40 --what-if temperature=0.2'
    " --what-if precise --what-if terse,top_p=0.5 --continue",
    'llmparams explain "Tell me a story" --seed 5 -n 20 --what-if temperature=1.5,top_k=3'
    " --what-if seed=9 --what-if stop=was --json --continue",
    'llmparams explain "Tell me a story" --seed 5 -n 20 --what-if brainstorm',
    'llmparams explain "Tell me a story" --target target.txt -p precise',
    'llmparams explain "Tell me a story" --target target.txt --json --top 3',
    'llmparams explain "" --raw --seed 3 -n 5 < /dev/null',
    'llmparams explain "Is it?" --grammar @answer.grammar --seed 1 --at 1',
    'llmparams explain "こんにちは" --seed 1 -n 12 --temperature 2 --at 4',
    'llmparams explain "Tell me a story" --seed 4 -n 40 --stop ". " --stop "."',
    'llmparams explain "Tell me a story" --seed 5 -n 8 --html page.html',
    'llmparams explain "Tell me a story" --seed 5 -n 8 --svg story.svg',
    'llmparams explain "Tell me a story" --seed 5 -n 8 --at 3 --png draw.png',
    'llmparams explain "Tell me a story" -p loud --show-params',
    "llmparams explain --file long.txt -n 6 --seed 3 --at 2",
    "llmparams explain --file huge.txt --overflow truncate-start -n 4 --seed 3",
    "llmparams explain --file huge.txt",
    "llmparams explain hi -n 3 --at 99",
    "llmparams explain hi --continue",
    "llmparams explain hi --what-if temprature=1",
    "llmparams explain hi --what-if context=4",
    "llmparams explain hi --target none.txt",
    "llmparams explain hi --step",
    "llmparams explain hi -n 2 --seed 1 --fail-on max-tokens",
]

COMPARE = [
    'llmparams compare "Tell me a story." --preset precise --preset creative-chat -n 20 --seed 1',
    'llmparams compare "Tell me a story." --grid temperature=0.2,0.8,1.4 --samples 2'
    " -n 20 --seed 1",
    'llmparams compare "Tell me a story." --grid temperature=0.2,1 --grid top_k=5,50'
    " -n 12 --seed 1",
    'llmparams compare "Tell me a story." --grid temperature=0.2,1.4 -n 12 --seed 1 --color always',
    'llmparams compare "Tell me a story." --grid temperature=0,1 -n 12 --seed 1 --json',
    'llmparams compare "Tell me a story." --grid temperature=0,1 -n 12 --seed 1 --csv --samples 3',
    'llmparams compare "Tell me a story." --grid stop=was,there -n 30 --seed 1',
    'llmparams compare "Tell me a story." -p loud -p terse -p inner --seed 1 -n 9 --json',
    "llmparams compare hi -p json-extract -p terse --metric json --metric length:5-50"
    " --metric 'regex:^[A-Z]' --metric 'command:wc -c' --seed 2 -n 12",
    "llmparams compare --prompts prompts.txt --grid top_p=0.5,0.95 --metric 'regex:^Once'"
    " -n 12 --seed 1",
    "llmparams compare --prompts prompts.jsonl --grid top_p=0.5,0.95 -n 12 --seed 1 --csv",
    "llmparams compare --prompts prompts.txt -p loud -p ask --samples 2 -n 12 --seed 1 --json",
    "llmparams compare --file long.txt --grid temperature=0,0.7 -n 12 --seed 1",
    'llmparams compare "Tell me a story." --grid temperature=0.2,1.4 -n 9 --seed 1'
    " --html page.html",
    'llmparams compare "Tell me a story." --grid temperature=0.2,1.4 -n 9 --seed 1'
    " --html p.html --samples 2 --quiet",
    "llmparams compare hi --grid max_tokens=2,9 --seed 1",
    'COLUMNS=50 llmparams compare "Tell me a story." --grid temperature=0.2,1.4 -n 9 --seed 1',
    "llmparams compare --prompts bad.jsonl --grid top_k=1,2",
    "llmparams compare --prompts none.txt --grid top_k=1,2",
    "llmparams compare hi",
    "llmparams compare hi --grid temperature=1,99",
    "llmparams compare hi --grid temprature=1,2",
    "llmparams compare hi --grid context=512,1024",
    "llmparams compare hi --grid top_k=1,2 --metric 'regex:('",
    "llmparams compare hi --grid top_k=1,2 --metric command:false -n 2",
    "llmparams compare hi --grid top_k=1,2 --context 8",
    "llmparams compare hi --grid top_k=1,2 --json --csv",
    "llmparams compare hi --grid top_k=1,2 --html no/x.html",
]

PRESETS = [
    "llmparams presets list",
    "llmparams presets list --json",
    "llmparams presets show precise",
    "llmparams presets show loud --json",
    "llmparams presets show inner",
    "llmparams presets show legal-summary --color always",
    "for f in yaml json llama.cpp ollama openai hf vllm; do"
    " llmparams presets show loud --format $f; done",
    "for f in llama.cpp ollama webui llm lmstudio hf sillytavern openai vllm; do"
    " llmparams presets export creative-chat --format $f; done",
    "llmparams presets export legal-summary --format ollama -o Modelfile",
    "llmparams presets export legal-summary --format nonsense",
    "llmparams presets import hf.json; cat presets/hf.yaml; llmparams presets import hf.json",
    "for f in wild/*; do llmparams presets import $f --force --name x; cat presets/x.yaml; done",
    "llmparams presets import note.txt",
    "llmparams presets diff calm brainstorm --prompt 'Name a colour.'",
    "llmparams presets diff calm creative-chat --tokens 12 --json",
    "llmparams presets diff loud terse --tokens 0",
    "llmparams presets diff loud --tokens 8",
    "llmparams presets diff loud nobody",
    "llmparams presets new short --temperature 0.3 -n 80 --stop . --description 'Few words.';"
    " cat presets/short.yaml; llmparams presets new short --top-k 2",
    "llmparams generate hi -p loud --seed 4 -n 5; llmparams presets new again --from last;"
    " cat presets/again.yaml",
    "llmparams presets new mine -p loud --system 'Be odd.' --prompt 'Say {{ input }}.' --user",
    "llmparams presets check",
    "llmparams presets check slip.yaml circle.yaml none.yaml",
    "llmparams presets check slip.yaml --json",
    "llmparams presets test tested",
    "llmparams presets test tested --json",
    "llmparams presets test tested --junit out.xml",
    "llmparams presets test loud",
    "llmparams presets schema",
    "EDITOR=true llmparams presets edit terse",
]

RECORDS = [
    'llmparams generate "Tell me a story" --seed 3 -n 20 --receipt r.json; llmparams replay r.json',
    'llmparams generate "Tell me a story" --seed 3 -n 20 --receipt r.json;'
    " llmparams replay r.json --set temperature=1.5; llmparams replay r.json --set top_k=1 --json",
    "llmparams generate hi -p loud --seed 3 --receipt r.json; llmparams replay r.json --json",
    "llmparams generate hi -n 9 --seed 3; llmparams replay last; llmparams replay last --set n=3",
    "llmparams generate hi -n 9 --seed 3 --receipt r.json;"
    ' sed -i \'s/"hi"/"ho"/\' r.json; llmparams replay r.json',
    "llmparams generate hi -n 9 --seed 3 --receipt r.json; sed -i 's/0.3.36/0.3.1/' r.json;"
    " llmparams replay r.json --set temprature=1; llmparams replay r.json",
    "llmparams generate --file long.txt -n 9 --seed 3 --receipt r.json;"
    " llmparams replay r.json --set repeat_penalty=1.4",
    "llmparams replay none.json",
    "llmparams replay hf.json",
    "llmparams replay last",
    "llmparams generate 'a fox' -n 5 --seed 1; llmparams generate hi -p terse --seed 2;"
    " llmparams log; llmparams log fox; llmparams log --search hen; llmparams log --json -n 1",
    "llmparams generate 'a fox' -n 5 --seed 1 -p inner; llmparams log show;"
    " llmparams log show last --json; llmparams log clear --yes; llmparams log",
    "llmparams generate 'a fox' -n 5 --seed 1 --no-log; llmparams log show last",
    "llmparams log show zzz",
    "llmparams log clear < /dev/null",
]

PARAMETERS = [
    "llmparams params",
    "llmparams params --json",
    "llmparams params temperature --effect",
    "llmparams params top-p --effect --json",
    "llmparams params -n --no-effect",
    "llmparams params repeat_penalty --effect",
    "llmparams params json_schema",
    "llmparams params temprature",
]

GENERAL = [
    "llmparams --version",
    "llmparams --help",
    "llmparams",
    "llmparams nonsense",
    *(
        f"llmparams {command} --help"
        for command in (
            *("generate", "chat", "compare", "explain", "params", "doctor", "replay", "log"),
            "presets",
            *(
                f"presets {name}"
                for name in (
                    *("list", "show", "diff", "new", "edit", "check", "test"),
                    *("import", "export", "schema"),
                )
            ),
        )
    ),
]

TERMINAL = [
    'terminal generate "Tell me a story" --seed 4 -n 30 --color-by probability',
    'terminal generate "Tell me a story" --seed 4 -n 30 --json',
    'terminal explain "Tell me a story about a fox." --seed 5 -n 14 --at 3',
    "terminal params top_p",
    "terminal presets show loud",
    "terminal generate hi --temprature 1",
]

COMMANDS = [
    *GENERAL,
    *GENERATE,
    *CHAT,
    *EXPLAIN,
    *COMPARE,
    *PRESETS,
    *RECORDS,
    *PARAMETERS,
    *TERMINAL,
]

# With --model: raw prompts of these numbers of tokens, around the sizes at which llama.cpp's
# kernels change, are in 20.txt, 63.txt and so on, and all together in exact.jsonl.
LENGTHS = (20, 63, 64, 65, 128, 200)
OF_A_MODEL = [
    *(
        f"llmparams generate --raw --file {length}.txt --temperature 0 -n 40 --json --logprobs 2"
        for length in LENGTHS
    ),
    "llmparams compare --raw --prompts exact.jsonl --grid temperature=0,0.7 --seed 1 -n 24 --json",
    "llmparams explain --raw --file 128.txt --temperature 0 -n 12 --json",
    "llmparams explain --raw --file 65.txt --target target.txt --json",
    "printf '%s\\n' 'Name three animals.' 'Which of them is the largest?' 'Tell me about it.'"
    " | llmparams chat --temperature 0 -n 40 --no-save",
]
WORDS = LONG.split()


@dataclass(frozen=True)
class Side:
    """A checkout, and the directory in which its lines run.

    Both sides' paths have the same length, so that nothing is wrapped or cut differently.
    """

    checkout: Path
    root: Path
    uncompared: Sequence[str]  # patterns of files

    @property
    def code(self) -> Path:
        return self.root / "code"

    def run(self, line: str, number: int, files: dict[str, str]) -> dict[str, bytes]:
        """All that the line left: standard output, standard error, and files by their paths."""
        place = self.root / f"{number:03}"
        prepare(place, files)
        process = subprocess.run(
            ["bash", "-c", PROGRAM + line],
            cwd=place,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
        left = {"stdout": process.stdout, "stderr": process.stderr}
        for path in sorted(filter(Path.is_file, place.rglob("*"))):
            name = str(path.relative_to(place))
            if not any(fnmatch(name, pattern) for pattern in self.uncompared):
                left[f"file {name}"] = path.read_bytes()
        shutil.rmtree(place)
        return {self.normal(name): self.equalised(content) for name, content in left.items()}

    def variables(self) -> dict[str, str]:
        kept = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH")
        return {name: os.environ[name] for name in kept if name in os.environ} | {
            "PYTHON": sys.executable,
            "PYTHONPATH": str(self.code),
            "HOME": str(self.root),
            "LC_ALL": "C.UTF-8",
            "LLMPARAMS_THREADS": "1",
            "LLMPARAMS_STATE_DIR": "state",
            "LLMPARAMS_CONFIG_DIR": "config",
            # What is found out about machine and model once serves all lines; it may be deleted
            # at any time, knows files by their dates, and is not compared.
            "LLMPARAMS_CACHE_DIR": str(self.root / "cache"),
        }

    def equalised(self, content: bytes) -> bytes:
        try:
            return self.normal(content.decode()).encode()
        except UnicodeDecodeError:
            return content

    def normal(self, text: str) -> str:
        """The text without what may differ between two runs of the same code."""
        for path, name in ((self.code, "CODE"), (self.checkout, "CODE"), (self.root, "ROOT")):
            text = text.replace(str(path), name)
        for _, pattern, replacement in NORMALISED:
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        return "".join(_timeless(text.splitlines(keepends=True)))


def _timeless(lines: list[str]) -> Iterator[str]:
    """The lines without the numbers in those columns of compare's table that measure time."""
    columns: list[slice] = []
    for line in lines:
        plain = ESCAPE.sub("", line)
        if all(name in plain.split() for name in TIMED):
            ends = [plain.index(name) + len(name) for name in TIMED]
            columns = [slice(end - len(name), end) for end, name in zip(ends, TIMED, strict=True)]
        elif not plain.strip():
            columns = []
        elif columns and plain == line:
            for column in columns:
                line = (
                    line[: column.start]
                    + "TIME".rjust(column.stop - column.start)
                    + line[column.stop :]
                )
        yield line


def prepare(place: Path, files: dict[str, str]) -> None:
    """A fresh directory that holds the files, and the collected presets of other programs."""
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copytree(HERE / "tests" / "wild_presets", place / "wild")


def difference(ours: dict[str, bytes], theirs: dict[str, bytes]) -> Iterator[str]:
    """Unified differences of all that is not equal, shortened."""
    for name in sorted({*ours, *theirs}):
        one, other = theirs.get(name), ours.get(name)
        if one == other:
            continue
        if one is None or other is None:
            yield f"{name}: only the {'other' if other is None else 'present'} code writes it"
            continue
        old, new = (text.decode(errors="backslashreplace").splitlines() for text in (one, other))
        lines = list(
            difflib.unified_diff(old, new, f"{name}, other", f"{name}, present", n=1, lineterm="")
        )
        yield from (_cut(line, lines) for line in lines[:SHOWN])
        if len(lines) > SHOWN:
            yield f"… {len(lines) - SHOWN} more lines"
        elif not lines:
            yield f"{name}: the ends of lines differ"


def _cut(line: str, lines: list[str]) -> str:
    """A long line from a little before the place at which it first differs from its partner."""
    if len(line) <= WIDTH:
        return line
    partners = [each for each in lines if each[:1] in "+-" and each[:1] != line[:1]]
    shared = max((_shared(line[1:], each[1:]) for each in partners), default=0)
    start = max(shared - WIDTH // 2, 0)
    return f"{line[0]}…{line[1 + start :][:WIDTH]}…"


def moved(ours: dict[str, bytes], theirs: dict[str, bytes]) -> float | None:
    """How far decimals have moved at most; None where more than decimals differs."""
    if ours.keys() != theirs.keys():
        return None
    most = 0.0
    for name, content in ours.items():
        if content == theirs[name]:
            continue
        try:
            texts = [each.decode() for each in (content, theirs[name])]
        except UnicodeDecodeError:
            return None
        bare = [FROM_DECIMALS.sub("", DECIMAL.sub("#", text)) for text in texts]
        if bare[0] != bare[1]:
            return None
        pairs = zip(*map(_decimals, texts), strict=True)
        most = max([most, *(abs(one - other) for one, other in pairs)])
    return most


def _decimals(text: str) -> list[float]:
    found = DECIMAL.findall(text)
    return [float(number) / (100 if percent else 1) for number, percent in found]


def _shared(one: str, other: str) -> int:
    """How many characters are the same at the start of both."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def parting(ours: dict[str, bytes], theirs: dict[str, bytes]) -> Iterator[str]:
    """Where a model's texts part, for lines whose standard output is JSON; else nothing."""
    try:
        new, old = json.loads(ours["stdout"]), json.loads(theirs["stdout"])
    except ValueError:
        return
    for one, other in zip(_answers(old), _answers(new), strict=False):
        yield _parting(one, other)


def _answers(document: Any) -> list[dict[str, Any]]:
    if not isinstance(document, dict):
        return []
    variants = document.get("variants", [])
    samples = [sample for variant in variants for sample in variant["samples"]]
    return [answer for answer in samples or [document] if "text" in answer]


def _parting(old: dict[str, Any], new: dict[str, Any]) -> str:
    if old["text"] != new["text"]:
        shared = _shared(old["text"], new["text"])
        where = f"texts part after {shared} characters, {old['text'][:shared][-40:]!r}"
        pairs = zip(old.get("tokens", ()), new.get("tokens", ()), strict=False)
        tokens = [(one, other) for one, other in pairs if one["id"] != other["id"]]
        return where + "".join(f": {_gap(one)} against {_gap(other)}" for one, other in tokens[:1])
    return "same text"


def _gap(token: dict[str, Any]) -> str:
    """A token, and how far the two best candidates were from each other."""
    top = token.get("top") or []
    gap = f" (ahead by {top[0]['logprob'] - top[1]['logprob']:.4f})" if len(top) > 1 else ""
    return f"{token['text']!r}{gap}"


def exact(side: Side, model: str) -> dict[str, str]:
    """Texts of so many tokens as LENGTHS says, in this model's vocabulary."""
    found: dict[str, str] = {}
    for length in LENGTHS:
        words = length
        for _ in range(8):
            text = " ".join(WORDS[i % len(WORDS)] for i in range(words))
            off = length - _tokens(side, model, text)
            if not off:
                break
            words += off
        found[f"{length}.txt"] = text
    rows = [json.dumps({"prompt": text}) + "\n" for text in found.values()]
    return {**found, "exact.jsonl": "".join(rows)}


def _tokens(side: Side, model: str, text: str) -> int:
    line = f"llmparams generate --raw --file x.txt -n 1 --json -m {shlex.quote(model)}"
    left = side.run(line, 0, {"x.txt": text})
    return int(json.loads(left["stdout"])["usage"]["prompt_tokens"])


def compare(
    ours: Side,
    theirs: Side,
    lines: list[str],
    files: dict[str, str],
    start: int,
    tolerance: float,
) -> list[str]:
    """Run the lines on both sides and tell of each how it compares, in a word; the words."""
    words = []
    with ThreadPoolExecutor(2) as pool:
        for number, line in enumerate(lines, start):
            sides = [pool.submit(side.run, line, number, files) for side in (ours, theirs)]
            new, old = (each.result() for each in sides)
            by = moved(new, old)
            passes = by is not None and by <= tolerance
            words.append("same" if new == old else "moved" if passes else "DIFFERS")
            print(f"{words[-1]:<7}  {line}", flush=True)
            if new != old and by is not None:
                print(f"         nothing but decimals, by {by:.2g} at most")
            if words[-1] == "DIFFERS":
                for text in (*parting(new, old), *difference(new, old)):
                    print(f"         {text}")
    return words


def main() -> int:
    """Compare the two checkouts; the exit code is 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("words", nargs="*", help="run only lines that contain one of these")
    parser.add_argument("--present", type=Path, default=HERE, help="instead of this checkout")
    parser.add_argument("--tolerance", type=float, default=0.0, help="for decimals")
    parser.add_argument("--except", dest="uncompared", metavar="FILES", action="append", default=[])
    parser.add_argument("--model", help="a GGUF file whose answers are compared, too")
    asked = parser.parse_args()
    chosen = [
        line for line in COMMANDS if not asked.words or any(word in line for word in asked.words)
    ]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        root, uncompared = Path(directory).resolve(), ["wild/*", *asked.uncompared]
        ours = Side(asked.present.resolve(), root / "a", uncompared)
        theirs = Side(asked.other.resolve(), root / "b", uncompared)
        for side in (ours, theirs):
            side.root.mkdir()
            side.code.symlink_to(side.checkout)
        found = compare(ours, theirs, chosen, FILES, 0, asked.tolerance)
        if asked.model:
            model = str(Path(asked.model).resolve())
            files = FILES | exact(ours, model)
            chosen += [
                f"export LLMPARAMS_MODEL={shlex.quote(model)}; {line}" for line in OF_A_MODEL
            ]
            more = chosen[-len(OF_A_MODEL) :]
            found += compare(ours, theirs, more, files, len(chosen), asked.tolerance)
    runs = sum(line.count("llmparams ") + line.count("terminal ") for line in chosen)
    print(
        f"{len(found)} lines ({runs} commands) in {time.monotonic() - began:.0f} s: "
        + ", ".join(f"{found.count(word)} {word}" for word in dict.fromkeys(found))
        + ". Not compared: the checkouts' paths, the cache, "
        + ", ".join(name for name, _, _ in NORMALISED)
    )
    return 1 if "DIFFERS" in found else 0


if __name__ == "__main__":
    sys.exit(main())

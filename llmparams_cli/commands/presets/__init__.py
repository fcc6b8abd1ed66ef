"""Presets: named settings to keep, share and test.

A preset is a YAML file. It is looked up by name in presets/ and llmparams.yaml of the
project, in the user's configuration directory and among those that come with the program;
`list` shows them all. NAME@project, NAME@user, NAME@llmparams or NAME@DIRECTORY picks one
of several with the same name; a path works as well.
"""

from __future__ import annotations

# Each command's module has its name; only `import` is `import_`, as Python reserves the word.
COMMANDS = {
    "list": "List all presets: where they are, what they are for, what they set.",
    "show": "Show all that a preset resolves to, or write it in another program's format.",
    "diff": "Compare two presets: their values, and what that does to the next token.",
    "new": "Write a new preset from flags, other presets, or a receipt.",
    "edit": "Open a preset in your editor, and check it afterwards.",
    "check": "Find every problem in preset files.",
    "test": "Run the tests that presets carry.",
    "import": "Read another program's preset.",
    "export": "Write a preset in another program's format.",
    "schema": "Print the JSON Schema of preset files, for editors.",
}

"""What the source of a chat template says about its variables; nothing of it is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

HIGHEST = "high"  # of the levels that variables have
LONGEST = 1 << 20  # characters that are looked at; real templates have at most 30,000


@dataclass(frozen=True)
class Variable:
    """A variable that a template takes from outside: the texts that it is compared with, and those
    that the template sets it to where nothing is given. Is it written out? Must it be in a list?
    """

    compared: set[str]
    set_to: set[str]
    is_written: bool
    is_limited: bool


@lru_cache(maxsize=100)
def variables(template: str) -> dict[str, Variable]:
    """The variables that a template reads before it sets them itself, by name. There are none in
    what is no Jinja: whoever runs it is told.
    """
    from llmparams_cli.templates.environment import parsed
    from llmparams_cli.text import jinja

    try:
        with jinja.bounded():
            return _variables(parsed(template[:LONGEST]))
    except Exception:  # TemplateError, RecursionError, …
        return {}


def _variables(tree: Any) -> dict[str, Variable]:
    from jinja2 import meta, nodes

    compared = [(_names(each.expr), _texts(*each.ops)) for each in _all(nodes.Compare, tree)]
    assigned = [
        (_names(each.target), _names(each.node), _texts(each.node))
        for each in _all(nodes.Assign, tree)
    ]
    limited = {
        name
        for kind, op in ((nodes.Compare, "notin"), (nodes.Not, "in"), (nodes.Compare, "in"))
        for each in _all(kind, tree)
        for compare in _all(nodes.Compare, each)
        if op in [operand.op for operand in compare.ops]
        # A list in which something may be is a list of all only if it goes up to the highest.
        and (kind is nodes.Not or op == "notin" or HIGHEST in _texts(*compare.ops))
        for name in _names(compare.expr)
    }
    written = {name for each in _all(nodes.Output, tree) for name in _uncompared(each)}
    first = {name.name: name.ctx for name in reversed(list(_in_order(tree)))}
    # This one goes last, as it computes constants within the tree. It also counts variables that
    # are set in one branch and read in another.
    undeclared = meta.find_undeclared_variables(tree)
    found = {}
    for name in sorted(undeclared):
        if first.get(name) == "load":
            # What is made of a variable, such as its lower case, stands for it.
            same = {name}.union(*(target for target, value, _ in assigned if name in value))
            found[name] = Variable(
                {text for names, texts in compared if names & same for text in texts},
                {text for target, _, texts in assigned if target & same for text in texts},
                bool(written & same),
                bool(limited & same),
            )
    return found


def _in_order(node: Any) -> Iterator[Any]:
    """All names below a node, in the order in which they are read and set."""
    from jinja2 import nodes

    if isinstance(node, nodes.Name):
        yield node
    children = list(node.iter_child_nodes())
    if isinstance(node, (nodes.Assign, nodes.AssignBlock)):
        children.reverse()  # the target comes after its value
    own = {arg.name for arg in node.args} if isinstance(node, nodes.Macro) else ()
    for child in children:
        yield from (name for name in _in_order(child) if name.name not in own)


def _texts(*expressions: Any) -> set[str]:
    """The texts in some expressions."""
    from jinja2 import nodes

    constants = (node for each in expressions for node in _all(nodes.Const, each))
    return {node.value for node in constants if isinstance(node.value, str)}


def _names(expression: Any) -> set[str]:
    """The variables in an expression."""
    from jinja2 import nodes

    return {node.name for node in _all(nodes.Name, expression)}


def _uncompared(node: Any) -> set[str]:
    """The variables below a node, but for those that are only compared with something."""
    from jinja2 import nodes

    if isinstance(node, nodes.Compare):
        return set()
    own = {node.name} if isinstance(node, nodes.Name) else set()
    return own.union(*map(_uncompared, node.iter_child_nodes()))


def _all(kind: Any, node: Any) -> list[Any]:
    """The nodes of a kind, this one included."""
    return [each for each in (node, *node.find_all(kind)) if isinstance(each, kind)]

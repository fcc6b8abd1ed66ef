"""Which rule leads to which: the circles in such a graph, and the way round them."""

from __future__ import annotations

from collections.abc import Iterator

Graph = list[list[int]]  # of each node, where it leads


def parts(graph: Graph) -> list[int]:
    """The strongly connected part of each node, by number (Tarjan's algorithm, without recursion).

    A part leads only to itself and to parts of lower numbers; two nodes of one part lead to each
    other, and an edge inside a part is an edge of a circle.
    """
    found = [-1] * len(graph)
    index, low, open_nodes = [0] * len(graph), [0] * len(graph), []
    seen = count = 0
    for root in range(len(graph)):
        todo: list[tuple[int, Iterator[int]]] = [] if index[root] else [(root, iter(graph[root]))]
        while todo:
            node, following = todo[-1]
            if not index[node]:
                seen += 1
                index[node] = low[node] = seen
                open_nodes.append(node)
            other = next(following, None)
            if other is not None:
                if not index[other]:
                    todo.append((other, iter(graph[other])))
                elif found[other] < 0:
                    low[node] = min(low[node], index[other])
                continue
            todo.pop()
            if todo:
                above = todo[-1][0]
                low[above] = min(low[above], low[node])
            if low[node] == index[node]:
                while found[node] < 0:
                    found[open_nodes.pop()] = count
                count += 1
    return found


def path(graph: Graph, start: int, goal: int) -> list[int]:
    """A shortest way, both ends included; there has to be one."""
    before = reached(graph, start)
    way = [goal]
    while way[-1] != start:
        way.append(before[way[-1]])
    return way[::-1]


def reached(graph: Graph, start: int) -> dict[int, int]:
    """All nodes to which one leads, itself first, each with the one before it on a shortest way."""
    before = {start: start}
    queue = [start]
    for node in queue:
        for other in graph[node]:
            if other not in before:
                before[other] = node
                queue.append(other)
    return before

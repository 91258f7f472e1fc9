"""Snapshots: a whole board in a file, and boards that go on from there as if nothing had happened.

API. `boards.save(machine, path)` writes a `machine.Machine` between two of its steps, `boards.load(path) -> Machine`
makes it again, and `boards.digest(machine)` tells whether two are alike. `board.Board` has both for boards that are
served.

`container` is the file (nothing in it is code), `kinds` says how values are written and judged when they are read,
`memories`, `cores`, `chips`, `timed` and `boards` are the parts of a board. What a part keeps is a table of names with
their kinds; a test demands that every attribute of its class is in it, or is made anew from others.

Cores are those in C: of a core in Python, or a slow one, the CPU emulator keeps part of the state to itself.
"""

"""Column types, one module each: how a column is recognised, read, checked and described.

`parse_cell` of a type is the definition of how a cell is read; `parse` does the same for whole Arrow
arrays. Training and serving both go through them, so a value means the same in a file and in a request.
"""

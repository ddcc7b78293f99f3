"""Graphs of any size, in every operator set and element type, and what pruning makes of them."""

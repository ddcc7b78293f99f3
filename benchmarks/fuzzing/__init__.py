"""Numbered hostile and odd inputs for the command line, and the processes that run it on them."""

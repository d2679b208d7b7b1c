"""One file for each kind of step; files here never import each other."""

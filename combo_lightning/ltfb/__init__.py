"""LTFB: tournaments between trainer groups that train one kind of model side by side."""

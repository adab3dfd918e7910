"""``combo-lightning doctor``: what is wrong with this machine, or with a job's nodes.

`nodes` starts `probe` on each node of the job by srun and talks with it through srun's own
streams, so that neither the nodes' network nor a folder needs to work. `machine`, `names`,
`folder` and ``parallel.probe`` are what a node looks at; `examination` asks them one after the
other; `verdict` judges the answers, without messages; `page` writes both.
"""

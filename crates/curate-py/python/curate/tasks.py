"""A run in tasks, for many processes or machines that share a folder, with the bytes of one process.

`plan` cuts a run into steps of tasks; any process carries a task out with a `Worker`, in any order that
the steps allow, any number of times. What comes of it is the run folder that `curate.run` writes. The
program has the same as `curate tasks`; `curate.ray` carries all of a plan out on a cluster.
"""

from curate._curate import Plan, Status, Step, Worker, plan

__all__ = ["Plan", "Status", "Step", "Worker", "plan"]

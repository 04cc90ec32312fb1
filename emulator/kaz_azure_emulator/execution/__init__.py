"""Runs the jobs and deployments of Azure ML on this machine, with processes for nodes.

A job, from the top down: `run.run_job` → `storage` (its code, from blobs) → `environments` (what it needs to have
installed) → `inputs` (its inputs and outputs as folders) → `nodes` (its processes, each under `guard.py`).
A deployment: `serving.serve`, which uses the same parts and runs `scoring_server.py`.
"""

from kaz_azure_emulator.execution.description import InvalidJob, JobDescription, JobOutcome
from kaz_azure_emulator.execution.run import run_job
from kaz_azure_emulator.execution.sweeps import grid, random_trials

__all__ = ["InvalidJob", "JobDescription", "JobOutcome", "grid", "random_trials", "run_job"]

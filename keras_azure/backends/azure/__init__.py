"""Runs on an Azure ML workspace: the sizes of its machines, its clusters, and jobs on them."""

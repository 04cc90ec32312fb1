"""Who hears of a run.

display     terminal, notebook, plain lines
tracking    MLflow
"""

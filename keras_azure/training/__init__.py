"""Training on this machine: `train.train(config, run_dir, observer) -> RunResult`.

Nothing is imported here: the script `keras_azure.throughput` needs the step alone, also where there is no TensorFlow.
"""

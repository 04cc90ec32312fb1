"""Training on this machine: `train(config, run_dir, observer) -> RunResult`."""

from keras_azure.training.train import train

__all__ = ["train"]

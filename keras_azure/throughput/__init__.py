"""What the benchmarks and `kaz bench` measure with, and a script of its own: `python -m keras_azure.throughput`.

timing        laps of something that makes steps, in rounds, the device waited for
engines       what only the engine knows: its devices, their memory, when they are done
step          the training step, on pictures that are on the device already
checkout      plugins of a source checkout that is not installed
utilisation   how busy the GPU is meanwhile
cases         one model, measured with one batch size and precision
"""

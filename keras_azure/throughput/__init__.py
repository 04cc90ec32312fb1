"""What the benchmarks and `kaz bench` measure with, and a script of its own: `python -m keras_azure.throughput`.

timing        laps of something that makes steps, in rounds, the device waited for
device        what only the engine knows: its devices, their memory, when they are done
step          the training step, on pictures that are on the device already
peak          how fast a device multiplies
utilisation   how busy the GPU is meanwhile
checkout      plugins of a source checkout that is not installed
cases         one model, measured with one batch size and precision: what the script does

ceiling       the most that an input pipeline could give
price         what a backend's machine costs
advice        what to try next
comparison    with an earlier report
plot          a picture of a report
bench         all of it for a user's model and data: `kaz bench`
"""

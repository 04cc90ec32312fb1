"""What to try next, of what a measurement found."""

from collections.abc import Mapping
from typing import Any

from keras_azure.description.config import RunConfig

_NEAR = 0.9  # of its ceiling: there is little left to gain
_EVEN = 1.25  # how many times as fast the other one is where neither alone bounds
_LARGE_ENOUGH = 128  # images per step, from which on larger batches gain little


def advice(report: Mapping[str, Any], config: RunConfig, *, frozen: bool) -> list[str]:
    """Lines for a user, the most promising first; none where nothing is known that helps.

    Args:
        report: as `bench` gives it, without these lines.
        frozen: whether all of the model but its head stays as it is.
    """
    lines = []
    if frozen and (config.augment or config.cache == "none"):
        lines.append("the network is frozen: without --augment and --cache none its features are computed only once")
    elif frozen:
        lines.append(
            "the network is frozen: a run computes its features once, and is faster than what is measured here"
        )
    if report["bound"] == "input":
        lines += _for_input(report, config)
    else:
        lines += _for_step(report, config)
    return lines


def _for_input(report: Mapping[str, Any], config: RunConfig) -> list[str]:
    on_gpu = report["environment"]["device"].startswith("gpu")
    lines = []
    if config.cache == "none":
        lines.append("--cache auto: each picture is decoded only once")
    if config.cache == "disk":
        lines.append("--cache memory, if the decoded pictures fit")
    if config.augment and on_gpu and report["augment_on"] == "host":
        lines.append("--augment-on device: the GPU augments within its step")
    if config.augment:
        lines.append("fewer augmentations: kaz show tells which of them run together and which do not")
    lines.append("more processors: the input is made by as many threads as there are")
    if not on_gpu:
        lines.append("on a processor, input and step share it: what one saves the other has")
    return lines


def _for_step(report: Mapping[str, Any], config: RunConfig) -> list[str]:
    on_gpu = report["environment"]["device"].startswith("gpu")
    rates = {name: numbers["images_per_second"] for name, numbers in report["measured"].items()}
    lines = []
    if config.batch_size < _LARGE_ENOUGH:
        lines.append(
            f"a larger --batch-size than {config.batch_size}: a step has costs that do not grow with it "
            "(the learning rate may have to)"
        )
    if config.precision == "float32" and on_gpu:
        lines.append("--precision mixed_bfloat16: tensor cores, and half the memory")
    if not on_gpu:
        lines.append("a GPU: kaz sizes shows Azure's, and --backend names its price here")
    if "run" in rates and rates["input"] < _EVEN * rates["step"]:
        lines.append("the input is hardly faster than the step: a faster step alone would wait for it")
    share = report["share_of_ceiling"]
    if report["part"] == "run" and share and share < _NEAR and not on_gpu:
        lines.append("input and step share the processor: what augmentation and decoding save, the step has")
    return lines

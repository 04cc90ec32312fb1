"""The numbers of a measured step belong together."""

import statistics
import time

import keras
import pytest

from keras_azure.errors import UnknownName
from keras_azure.planning.operations import step_operations
from keras_azure.registry.registry import MODELS
from keras_azure.throughput import peak
from keras_azure.throughput.cases import Case, flops, measure_case
from keras_azure.throughput.utilisation import Utilisation, _read, watched

SMALL = {"image_shape": (8, 8, 1), "batch_size": 4, "steps": 3, "rounds": 2, "seconds": 0.02, "device": "cpu"}


@pytest.mark.parametrize("step", ["ours", "keras"])
def test_a_step_is_measured(step):
    found = measure_case(Case("cnn", step=step, **SMALL))
    assert (found["model"], found["engine"], found["device"]) == ("cnn", keras.backend.backend(), "cpu:0")
    assert found["images_per_second"] == statistics.median(found["rates"]) > 0
    assert len(found["rates"]) == 2
    assert 0 < found["step_seconds"] <= found["step_seconds_p99"]
    assert found["first_step_seconds"] > 0
    assert found["peak_memory_bytes"] > 1 << 27  # TensorFlow alone needs more
    assert found["gpu_busy"] is None
    operations = step_operations(MODELS.build("cnn", (8, 8, 1), 10)).total
    assert found["operations_per_image"] == operations
    assert found["tflops"] == pytest.approx(operations * found["images_per_second"] / 1e12)
    assert found["flops_utilisation"] is None  # no maker gives a processor's peak
    assert keras.config.dtype_policy().name == "float32"


def test_half_precision_is_what_the_layers_compute_in(monkeypatch):
    built = []
    compile_model = "keras_azure.throughput.cases.compile_model"
    from keras_azure.throughput import cases

    original = cases.compile_model
    monkeypatch.setattr(compile_model, lambda model, *rest: (built.append(model), original(model, *rest)))
    measure_case(Case("cnn", precision="bfloat16", xla="off", **SMALL))
    assert built[0].get_layer("convolution_1").compute_dtype == "bfloat16"
    assert built[0].jit_compile is False


def test_an_unknown_model_is_one_message():
    with pytest.raises(UnknownName, match="cnm"):
        measure_case(Case("cnm", **SMALL))


@pytest.mark.parametrize(
    ("driver", "known"),
    [
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H100 NVL", "H100 NVL"),
        ("NVIDIA H100 PCIe", None),  # of which Azure has none
        ("NVIDIA H200", "H200"),
        ("NVIDIA A100-SXM4-40GB", "A100 SXM"),
        ("NVIDIA A100 80GB PCIe", "A100"),
        ("Tesla V100-PCIE-16GB", "V100"),
        ("Tesla V100-SXM2-32GB", "V100 SXM2"),
        ("Tesla T4", "T4"),
        ("NVIDIA A10-4Q", "A10"),
        ("NVIDIA GeForce RTX 3090", None),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000"),
        ("cpu:0", None),
    ],
)
def test_gpus_are_recognised_by_their_drivers_names(driver, known):
    assert peak.known_gpu(driver) == known


def test_flops_are_a_share_of_the_documented_peak(monkeypatch):
    monkeypatch.setattr(peak, "device_name", lambda device: "Tesla T4")
    found = flops(1000.0, 10**9, "gpu:0", "float32")
    assert (found["tflops"], found["peak_tflops"]) == (1.0, 8.1)
    assert found["flops_utilisation"] == pytest.approx(1 / 8.1)
    assert flops(1000.0, 10**9, "gpu:0", "bfloat16")["peak_tflops"] == 65
    monkeypatch.setattr(peak, "device_name", lambda device: "NVIDIA A100-SXM4-40GB")
    assert flops(1000.0, 10**9, "gpu:0", "float32")["peak_tflops"] == 156  # of TF32


def test_a_cpu_multiplies_at_some_rate():
    assert 1e-4 < peak.measured_tflops("cpu:0", "float32") < 100


def test_what_nvidia_smi_writes_is_read(tmp_path, monkeypatch):
    seen = Utilisation()
    _read("10, 2000\n90, 2100\n[N/A], 2100\n95, 21", seen)
    assert (seen.busy, seen.memory) == (0.9, 2100 << 20)

    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\necho 50, 1000\necho "$@" > "$0.arguments"\nexec sleep 1000\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    seen = Utilisation()
    with watched("gpu:1", seen):
        while not (tmp_path / "nvidia-smi.arguments").exists() or not (tmp_path / "nvidia-smi.arguments").read_text():
            time.sleep(0.01)
    assert (seen.busy, seen.memory) == (0.5, 1000 << 20)
    assert "--id=1" in (tmp_path / "nvidia-smi.arguments").read_text()


def test_without_nvidia_smi_nothing_is_known(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    seen = Utilisation()
    with watched("gpu:0", seen):
        pass
    assert seen == Utilisation(None, None)

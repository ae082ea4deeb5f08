"""What this machine does best: precision, devices, reproducibility."""

import pathlib
import sys
import types

import joblib
import keras
import numpy as np
import pytest
import tensorflow as tf

import hardware
from core import precision

LINUX = sys.platform == "linux"


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_policy_is_set_and_printed(policy, capsys):
    assert hardware.set_precision(policy) == policy
    assert keras.config.dtype_policy().name == policy
    assert policy in capsys.readouterr().out


def test_auto_picks_what_this_machine_has_units_for(capsys):
    """Its flags and GPUs are read here in another way than by the code."""
    flags = (pathlib.Path("/proc/cpuinfo").read_text() if LINUX else "").split()
    if not tf.config.list_physical_devices("GPU"):
        fast = "amx_bf16" in flags or "avx512_bf16" in flags
        assert hardware.set_precision() == ("mixed_bfloat16" if fast else "float32")
    else:
        assert hardware.set_precision() == keras.config.dtype_policy().name
    assert (
        f"Precision: {keras.config.dtype_policy().name} (the "
        in capsys.readouterr().out
    )


def test_devices_are_printed(capsys):
    with hardware.devices(16):
        assert not tf.distribute.has_strategy()
    names = ", ".join(keras.distribution.list_devices())
    assert f"Devices: {names} (tensorflow)" in capsys.readouterr().out


def test_several_gpus_share_each_batch(monkeypatch):
    monkeypatch.setattr(precision, "gpus", lambda: [(9, 0), (9, 0)])
    with hardware.devices(4):
        assert tf.distribute.has_strategy()
    with pytest.raises(
        ValueError, match="BATCH_SIZE = 3 cannot be shared .* 2 devices"
    ):
        hardware.devices(3)


@pytest.mark.parametrize(
    "kind, cuda, gpus, names",
    [
        ("cpu", None, [], []),
        ("cuda", "13.0", [(9, 0)], ["NVIDIA H"]),
        ("cuda", None, [(0, 0)], ["NVIDIA H"]),  # PyTorch for AMD calls its GPUs cuda
        ("mps", None, [(0, 0)], ["GPU (mps)"]),
    ],
)
def test_torch_trains_on_one_gpu(kind, cuda, gpus, names, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    monkeypatch.setattr(
        precision, "torch_device", lambda: types.SimpleNamespace(type=kind)
    )
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H")
    assert precision.gpus() == list(zip(names, gpus))


def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="PRECISION = 'float64' is not one of"):
        hardware.set_precision("float64")


def test_float16_scales_the_loss(tiny_network):
    hardware.set_precision("mixed_float16")
    model = tiny_network(2)
    model.compile("adam", "mae")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def test_machine_is_named_by_processor_cores_and_gpus(monkeypatch):
    monkeypatch.setattr(precision, "gpus", lambda: [])
    assert hardware.describe().endswith(f", {joblib.cpu_count()} cores, no GPU")
    monkeypatch.setattr(precision, "gpus", lambda: [("NVIDIA A", (9, 0))] * 2)
    assert hardware.describe().endswith(" cores, NVIDIA A, NVIDIA A")


def test_no_gpu_is_used_unless_there_are_several(monkeypatch):
    monkeypatch.setattr(precision, "gpus", lambda: [("A", (9, 0))])
    with hardware.devices(3):
        assert not tf.distribute.has_strategy()
    assert hardware.num_replicas() == 1


def test_start_makes_the_same_seed_give_the_same_weights():
    kernels = []
    for seed in (1, 1, 2):
        hardware.start(seed)
        kernels.append(np.asarray(keras.layers.Dense(4)(np.ones((1, 3)))))
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert (kernels[0] != kernels[2]).any()


def test_several_processes_need_jax(monkeypatch):
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(ValueError, match="only JAX trains in several processes"):
        hardware.start(0)


def test_networks_are_compiled_for_each_size_on_a_gpu(monkeypatch):
    monkeypatch.setattr(precision, "gpus", lambda: [])
    assert not hardware.compiles_for_each_size()
    monkeypatch.setattr(precision, "gpus", lambda: [("A", (9, 0))])
    assert hardware.compiles_for_each_size()


def test_processes_share_batches_evenly(monkeypatch):
    import jax

    batches = tf.data.Dataset.from_tensors((np.arange(6), np.arange(12).reshape(6, 2)))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    ((first, second),) = hardware.own_share(batches).as_numpy_iterator()
    assert first.tolist() == [2, 3] and second.tolist() == [[4, 5], [6, 7]]
    assert not hardware.is_first()


@pytest.mark.parametrize(
    "backend, calls",
    [("jax", [([], "GPU")]), ("torch", [([], "GPU")]), ("tensorflow", [])],
)
def test_gpu_is_left_to_the_backend(backend, calls, monkeypatch):
    seen = []
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *a: seen.append(a))
    hardware.keep_tensorflow_off_gpu.__wrapped__()
    assert seen == calls

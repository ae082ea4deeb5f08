import types

import keras
import pytest
import tensorflow as tf

import hardware


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_policy_is_set_and_printed(policy, capsys):
    assert hardware.set_precision(policy) == policy
    assert keras.config.dtype_policy().name == policy
    assert policy in capsys.readouterr().out


@pytest.mark.parametrize(
    "gpus, flags, policy",
    [
        ([], {"amx_bf16", "avx2"}, "mixed_bfloat16"),
        ([], {"avx512_bf16"}, "mixed_bfloat16"),
        ([], {"avx2"}, "float32"),
        ([(9, 0)], {"avx2"}, "mixed_bfloat16"),
        ([(8, 0), (7, 5)], set(), "mixed_float16"),
        ([(7, 0)], {"amx_bf16"}, "mixed_float16"),
        ([(6, 1)], {"amx_bf16"}, "float32"),
    ],
)
def test_auto_follows_the_hardware(monkeypatch, gpus, flags, policy):
    monkeypatch.setattr(hardware, "_gpus", lambda: gpus)
    monkeypatch.setattr(hardware, "_cpu_flags", lambda: flags)
    assert hardware.set_precision("auto") == policy


def test_auto_works_on_this_machine(capsys):
    policy = hardware.set_precision()
    assert policy in ("float32", "mixed_bfloat16", "mixed_float16")
    with hardware.devices(16):
        pass
    assert "Devices: " in capsys.readouterr().out


def test_several_gpus_share_each_batch(monkeypatch):
    monkeypatch.setattr(hardware, "_gpus", lambda: [(9, 0), (9, 0)])
    with hardware.devices(4):
        assert tf.distribute.has_strategy()
    with pytest.raises(
        ValueError, match="BATCH_SIZE = 3 cannot be shared .* 2 devices"
    ):
        hardware.devices(3)


def test_jax_names_gpus_of_amd_where_cuda_has_numbers(monkeypatch):
    import jax

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for capability, expected in {"9.0": (9, 0), "gfx942": (0, 0)}.items():
        gpu = types.SimpleNamespace(platform="gpu", compute_capability=capability)
        monkeypatch.setattr(jax, "devices", lambda: [gpu])
        assert hardware._gpus() == [expected]


def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="PRECISION = 'float64' is not one of"):
        hardware.set_precision("float64")


def test_float16_scales_the_loss(tiny_network):
    hardware.set_precision("mixed_float16")
    model = tiny_network(2)
    model.compile("adam", "mae")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def test_machine_is_named_by_processor_cores_and_gpus(monkeypatch):
    monkeypatch.setattr(hardware, "_gpu_names", lambda: [])
    assert hardware.name().endswith(f", {hardware.os.cpu_count()} cores, no GPU")
    monkeypatch.setattr(hardware, "_gpu_names", lambda: ["NVIDIA A", "NVIDIA A"])
    assert hardware.name().endswith(" cores, NVIDIA A, NVIDIA A")

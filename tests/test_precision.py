"""Which precision this machine is fastest in."""

import types

import keras
import pytest

from core import precision


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
    monkeypatch.setattr(precision, "gpus", lambda: [("A", gpu) for gpu in gpus])
    monkeypatch.setattr(precision, "cpu_flags", lambda: flags)
    assert precision.choose("auto", "PRECISION")[0] == policy


def test_jax_names_gpus_of_amd_where_cuda_has_numbers(monkeypatch):
    import jax

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for capability, expected in {"9.0": (9, 0), "gfx942": (0, 0)}.items():
        gpu = types.SimpleNamespace(
            platform="gpu", compute_capability=capability, device_kind="A"
        )
        monkeypatch.setattr(jax, "devices", lambda: [gpu])
        assert precision.gpus() == [("A", expected)]


def test_a_policy_that_was_chosen_is_kept(monkeypatch):
    monkeypatch.setattr(precision, "gpus", lambda: [("A", (6, 1))])
    assert precision.choose("mixed_float16", "precision")[0] == "mixed_float16"
    with pytest.raises(ValueError, match="precision = 'half' is not one of"):
        precision.choose("half", "precision")
